"""The player as a camera driver: what a subscriber in the same graph gets of it, and when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest
import rclpy
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from rapport_edge.images import decode_compressed
from rapport_ros.playback.frames import FrameSource, SourceError, SourceFrame, raw_picture
from rapport_ros.playback.messages import stamp_ns
from rapport_ros.playback.player import Player, PlayerEvent, PlayerSettings
from rapport_ros.playback.prefetch import Prefetch
from rapport_ros.qos import newest_image

pytestmark = pytest.mark.live


class Numbers(FrameSource):
    """Pictures whose grey is their number, 20 ms apart."""

    description = "numbers"
    length = None

    def __init__(self, total: int, recorded: bool = False) -> None:
        self._total = total
        self._recorded = recorded

    def frames(self) -> Iterator[SourceFrame]:
        for number in range(self._total):
            image = np.full((48, 64, 3), number, dtype=np.uint8)
            stamp = 1_000_000_000 * (number + 1) if self._recorded else None
            yield SourceFrame(raw_picture(image), number * 0.02, stamp, "head_camera")


class Played:
    """What came of playing a source to its end."""

    def __init__(self, graph, source: FrameSource, settings: PlayerSettings, stop: threading.Event | None = None):
        kind = CompressedImage if settings.compressed else Image
        listener = graph.add(rclpy.create_node("listener"))
        qos = newest_image()
        qos.depth = 100
        self.received = graph.collect(listener, kind, settings.topic, qos)
        node = graph.add(rclpy.create_node("player"))
        self.player = Player(node, source, settings)
        self.infos = listener.get_publishers_info_by_topic
        self.events: list[PlayerEvent] = []
        stop = stop or threading.Event()
        self.player.wait_for_subscriber(stop)
        (subscription,) = (one for one in listener.subscriptions if one.topic_name == f"/{settings.topic}")
        # What is sent before the reader knows the writer, too, is lost: images are sent once.
        graph.wait_for(subscription.get_publisher_count, "the listener to know the player")
        self.started = time.monotonic()
        self.player.play(self.player.prepared(), stop, self.events.append)
        self.took = time.monotonic() - self.started


def test_every_frame_is_published_in_order_with_the_time_of_its_publication(graph):
    before = time.time_ns()
    played = Played(graph, Numbers(10), PlayerSettings())
    graph.wait_for(lambda: len(played.received) == 10, "ten images")
    assert [message.data[0] for message in played.received] == list(range(10))
    stamps = [stamp_ns(message.header.stamp) for message in played.received]
    assert stamps == sorted(stamps) == [event.stamp_ns for event in played.events]
    assert before <= stamps[0] and stamps[-1] <= time.time_ns()
    assert {message.header.frame_id for message in played.received} == {"head_camera"}
    assert played.took >= 0.18


def test_recorded_stamps_are_kept(graph):
    played = Played(graph, Numbers(3, recorded=True), PlayerSettings())
    graph.wait_for(lambda: len(played.received) == 3, "three images")
    assert [message.header.stamp.sec for message in played.received] == [1, 2, 3]


def test_images_are_offered_as_cameras_offer_them(graph):
    played = Played(graph, Numbers(1), PlayerSettings())
    (offer,) = played.infos("image")
    assert offer.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_raw_frames_are_compressed_on_request(graph):
    played = Played(graph, Numbers(2), PlayerSettings(compressed=True, topic="image/compressed"))
    graph.wait_for(lambda: len(played.received) == 2, "two images")
    image = decode_compressed(played.received[1].data, played.received[1].format)
    assert image.shape == (48, 64, 3) and abs(int(image.mean()) - 1) <= 1


def test_playing_ends_after_the_seconds_that_were_asked_for(graph):
    played = Played(graph, Numbers(1000), PlayerSettings(seconds=0.2))
    assert 0 < len(played.events) <= 10


def test_playing_ends_when_it_is_told_to(graph):
    stop = threading.Event()
    timer = threading.Timer(1.5, stop.set)
    timer.start()
    played = Played(graph, Numbers(100_000), PlayerSettings(), stop)
    timer.join()
    assert 0 <= len(played.events) < 1000


def test_prefetch_gives_everything_in_order_and_raises_where_the_source_does():
    def source() -> Iterator[int]:
        yield from range(5)
        raise SourceError("cut off")

    taken = []
    with pytest.raises(SourceError, match="cut off"):
        taken.extend(Prefetch(source(), depth=2))
    assert taken == list(range(5))


def test_prefetch_reads_no_further_than_its_depth_and_ends_its_thread():
    made: list[int] = []
    numbers = count()
    before = set(threading.enumerate())
    ahead = Prefetch((made.append(n) or n for n in numbers), depth=3)
    deadline = time.monotonic() + 60.0
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 4  # three in the queue, one in hand
    (reading,) = set(threading.enumerate()) - before
    ahead.close()
    reading.join(60.0)
    assert not reading.is_alive()
