"""The node that plays a source like a camera driver, and the process it runs in.

The process takes its settings as JSON from its argument. It announces its topic and waits for a line "go" on standard
input; on standard output it writes one JSON object per line (`PlayerEvent`). It ends with its source, on SIGTERM, or
when standard input ends, so that it never outlives whoever started it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Literal

import msgspec
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from rapport_edge.errors import RapportError
from rapport_ros.playback.factory import SourceSettings, open_source
from rapport_ros.playback.frames import FrameSource, SourceFrame, compress
from rapport_ros.playback.messages import picture_message
from rapport_ros.playback.prefetch import Prefetch
from rapport_ros.playback.scene import SceneSettings, SceneSource
from rapport_ros.runner import ros_context
from rapport_ros.stop_signals import stop_signals

#: Pictures read ahead.
READ_AHEAD = 30
LONGEST_WAIT_FOR_SUBSCRIBER = 30.0
#: Seconds before the topic ends: what a reader has not taken when its writer goes is lost.
LINGERING = 0.5


class PlayerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is played, and where to.

    Attributes:
        source: what to play; `scene` plays instead when it is given.
        compressed: publish JPEG also where the source is raw.
        topic: of the images.
        seconds: end after so long; None plays to the end.
    """

    source: SourceSettings = SourceSettings()
    scene: SceneSettings | None = None
    compressed: bool = False
    topic: str = "image"
    seconds: Annotated[float, msgspec.Meta(gt=0.0)] | None = None


class PlayerEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the process says.

    Attributes:
        kind: "matched" when somebody subscribes, "published" after each frame, "failed" with a reason.
        stamp_ns: of the frame, nanoseconds since 1970.
        sent: `time.monotonic()` just before publication; the same clock in all processes of one machine.
        late: seconds after the frame was due.
    """

    kind: Literal["matched", "published", "failed"]
    stamp_ns: int = 0
    sent: float = 0.0
    late: float = 0.0
    reason: str = ""


class Player:
    """Publishes the frames of a source when they are due, with the QoS of a camera.

    Args:
        node: publishes.
        source: what is played.
        settings: see there.
    """

    def __init__(self, node: Node, source: FrameSource, settings: PlayerSettings) -> None:
        self._node = node
        self._source = source
        self._settings = settings
        self._compressed = settings.compressed or source.transport == "compressed"
        kind = CompressedImage if self._compressed else Image
        self._publisher = node.create_publisher(kind, settings.topic, qos_profile_sensor_data)

    def wait_for_subscriber(self, stop: threading.Event) -> None:
        """Returns when somebody subscribes, or `stop` is set.

        Raises:
            RapportError: after `LONGEST_WAIT_FOR_SUBSCRIBER` seconds.
        """
        deadline = time.monotonic() + LONGEST_WAIT_FOR_SUBSCRIBER
        while not stop.is_set() and self._publisher.get_subscription_count() == 0:
            if time.monotonic() > deadline:
                raise RapportError(f"nobody subscribes to '{self._publisher.topic_name}'")
            time.sleep(0.02)

    def play(self, frames: Iterator[SourceFrame], stop: threading.Event, tell: Callable[[PlayerEvent], None]) -> None:
        """Publishes until the source ends, the time is over, or `stop` is set."""
        start = time.monotonic()
        for frame in frames:
            due = start + frame.due
            if self._is_over(frame, start) or stop.wait(max(0.0, due - time.monotonic())):
                return
            stamp_ns = frame.stamp_ns if frame.stamp_ns is not None else time.time_ns()
            message = picture_message(frame.picture, stamp_ns, frame.frame_id)
            sent = time.monotonic()
            self._publisher.publish(message)
            late = max(0.0, sent - due) if frame.due else 0.0
            tell(PlayerEvent(kind="published", stamp_ns=stamp_ns, sent=sent, late=late))

    def prepared(self) -> Iterator[SourceFrame]:
        """The source's frames as they will be published."""
        frames = self._source.frames()
        if not self._compressed:
            return frames
        return (replace(frame, picture=compress(frame.picture)) for frame in frames)

    def _is_over(self, frame: SourceFrame, start: float) -> bool:
        limit = self._settings.seconds
        return limit is not None and max(frame.due, time.monotonic() - start) >= limit


def run_player(settings: PlayerSettings, tell: Callable[[PlayerEvent], None]) -> None:
    """Plays once, as described at the top of this file.

    Raises:
        RapportError: if the source cannot be opened or read to its end, or nobody subscribes.
    """
    source = SceneSource(settings.scene) if settings.scene is not None else open_source(settings.source)
    with ros_context([]), stop_signals() as stop:
        go = threading.Event()
        threading.Thread(target=_listen, args=(go, stop), name="standard input", daemon=True).start()
        node = rclpy.create_node("player")
        player = Player(node, source, settings)
        frames = Prefetch(player.prepared(), READ_AHEAD)
        try:
            player.wait_for_subscriber(stop)
            tell(PlayerEvent(kind="matched"))
            while not (go.wait(0.1) or stop.is_set()):
                continue
            player.play(iter(frames), stop, tell)
            stop.wait(LINGERING)
        finally:
            frames.close()
            node.destroy_node()


def _listen(go: threading.Event, stop: threading.Event) -> None:
    """Waits for "go", then for the end of standard input."""
    for line in sys.stdin:
        if line.strip() == "go":
            go.set()
    stop.set()


def _tell(event: PlayerEvent) -> None:
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Exit status 2 when the source cannot be played; the reason is the last event."""
    settings = msgspec.json.decode(sys.argv[1], type=PlayerSettings)
    try:
        run_player(settings, _tell)
    except RapportError as error:
        _tell(PlayerEvent(kind="failed", reason=str(error)))
        sys.exit(2)


if __name__ == "__main__":
    main()
