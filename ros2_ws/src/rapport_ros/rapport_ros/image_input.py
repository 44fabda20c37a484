"""Camera images in: one subscription that keeps the newest frame, and says why when none arrives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.exceptions import NameValidationException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from rapport_edge.errors import ImageError, SettingsError
from rapport_edge.faces import ByteImage
from rapport_edge.images import decode_compressed, decode_raw
from rapport_ros.conversions import stamp_to_seconds
from rapport_ros.diagnostics import DropCounter, LatencyWindow, RateMeter
from rapport_ros.image_input_settings import ImageInputSettings
from rapport_ros.newest_slot import NewestSlot
from rapport_ros.qos import describe, newest_image
from rapport_ros.stamp_check import StampCheck

SUPERSEDED = "superseded"
UNDECODABLE = "undecodable"


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded camera image.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        header: of the camera's message, unchanged.
        received: `time.monotonic()` when the message arrived.
        decode_seconds: time spent on decoding.
    """

    image: ByteImage
    header: Header
    received: float
    decode_seconds: float


class ImageInput:
    """Subscribes to raw or compressed images until closed.

    The subscription's callback only stores the message; `take` decodes in the caller's thread.

    Args:
        node: subscribes, logs, and gives the clock that stamps are compared with.
        settings: topic, transport, quality of service and limits.

    Attributes:
        topic: the resolved name.
        drops: images that arrived and were not processed, by reason.
        received: images that arrived.
        ages: from stamp to processing, corrected by the offset between the clocks.
        last_undecodable: what was wrong with the last image that could not be decoded.
    """

    def __init__(self, node: Node, settings: ImageInputSettings) -> None:
        self._node = node
        self._silence = settings.silence
        self._stamps = StampCheck(settings.max_age)
        self._qos = newest_image(reliable=settings.reliability == "reliable")
        self._slot: NewestSlot[tuple[Any, float]] = NewestSlot()
        self.drops = DropCounter()
        self.received = RateMeter()
        self.ages = LatencyWindow()
        self.last_undecodable = ""
        self._last_arrival = time.monotonic()
        self._decode = _decode_compressed if settings.transport == "compressed" else _decode_raw
        self._subscription = self._subscribe(settings)
        # Kept: the subscription's own property cannot be asked while another thread closes it.
        self.topic = str(self._subscription.topic_name)
        period = self._silence / 2.0
        self._watch = node.create_timer(period, self._warn_of_silence, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def clock_offset(self) -> float:
        """Seconds by which the camera's clock is behind the node's; 0 when they agree."""
        return self._stamps.offset

    def take(self, timeout: float) -> Frame | None:
        """The newest frame that is worth processing; None when none came within `timeout` seconds or it was dropped."""
        item = self._slot.take(timeout)
        if item is None:
            return None
        message, received = item
        reason = self._refusal(message.header)
        if reason is not None:
            self.drops.add(reason)
            return None
        started = time.monotonic()
        try:
            image = self._decode(message)
        except ImageError as error:
            self._count_undecodable(error)
            return None
        return Frame(image, message.header, received, time.monotonic() - started)

    def close(self) -> None:
        """Ends the subscription and wakes the thread that waits in `take`."""
        self._slot.close()
        self._node.destroy_timer(self._watch)
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self, settings: ImageInputSettings) -> Subscription:
        message_type = CompressedImage if settings.transport == "compressed" else Image
        try:
            return self._node.create_subscription(
                message_type,
                settings.topic,
                self._store,
                self._qos,
                callback_group=MutuallyExclusiveCallbackGroup(),
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos),
            )
        except (rclpy_implementation.RCLError, NameValidationException) as error:
            raise SettingsError(
                f"cannot subscribe to '{settings.topic}' as {message_type.__name__}: {error}"
            ) from error

    def _store(self, message: Any) -> None:
        self._last_arrival = time.monotonic()
        self.received.tick()
        if self._slot.put((message, self._last_arrival)):
            self.drops.add(SUPERSEDED)

    def _refusal(self, header: Header) -> str | None:
        """The reason to drop a message because of its stamp; a stamp of zero means that the camera sets none."""
        stamp = stamp_to_seconds(header.stamp)
        if stamp == 0.0:
            return None
        now = self._node.get_clock().now().nanoseconds * 1e-9
        before = self._stamps.offset
        reason = self._stamps.refusal(stamp, now)
        if reason is None:
            self.ages.add(self._stamps.age(stamp, now))
        if self._stamps.offset != before:
            self._say_offset()
        return reason

    def _say_offset(self) -> None:
        offset = self._stamps.offset
        if offset == 0.0:
            self._node.get_logger().info(f"the stamps of '{self.topic}' agree with this node's clock again")
            return
        order = "behind" if offset > 0.0 else "ahead of"
        self._node.get_logger().warning(
            f"the stamps of '{self.topic}' are steadily {abs(offset):.3f} s {order} this "
            "node's clock: taken for two different clocks, not for a delay. Is it a recording, or does one side "
            "use simulated time (parameter use_sim_time)?"
        )

    def _count_undecodable(self, error: ImageError) -> None:
        self.last_undecodable = str(error)
        self.drops.add(UNDECODABLE)
        self._node.get_logger().warning(f"image on '{self.topic}' dropped: {error}", throttle_duration_sec=5.0)

    def _on_incompatible_qos(self, info: QoSRequestedIncompatibleQoSInfo) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind)
        self._node.get_logger().warning(
            f"no images from some publisher of '{self.topic}': quality of service does not match ({policy}). "
            f"{self._both_sides()}"
        )

    def _both_sides(self) -> str:
        """Who publishes with which QoS, and what this node asks for."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        offered = [f"{_full_name(info)} offers {describe(info.qos_profile)} ({info.topic_type})" for info in publishers]
        own = self._node.get_fully_qualified_name()
        return f"{'; '.join(offered) or 'nobody publishes it'}; {own} asks for {describe(self._qos)}"

    def _warn_of_silence(self) -> None:
        silent = time.monotonic() - self._last_arrival
        if silent < self._silence:
            return
        self._node.get_logger().warning(
            f"no image on '{self.topic}' for {silent:.0f} s: {self._both_sides()}", throttle_duration_sec=10.0
        )


def _full_name(info: Any) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _decode_raw(message: Image) -> ByteImage:
    return decode_raw(
        message.data, message.encoding, message.width, message.height, message.step, bool(message.is_bigendian)
    )


def _decode_compressed(message: CompressedImage) -> ByteImage:
    return decode_compressed(message.data, message.format)
