"""What the live tests of face_perception share: a bundle with random weights, a camera, and a node that is running."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from rapport_ros.conversions import image_to_msg
from rapport_ros.face_perception_node import FacePerceptionNode

FRAME_ID = "camera_optical_frame"


def astronaut(width: int = 640, height: int = 480) -> np.ndarray:
    """A photograph with one face, (height, width, 3) uint8 RGB; public domain."""
    return np.ascontiguousarray(cv2.resize(skimage.data.astronaut(), (width, height), interpolation=cv2.INTER_AREA))


class Camera(Node):
    """Publishes images as a driver does: 15 Hz, stamped when taken.

    Attributes:
        picture: what it sees; None stops it.
        stamps: of everything that was published, in nanoseconds.
    """

    def __init__(
        self, topic: str = "image", qos: QoSProfile = qos_profile_sensor_data, compressed: bool = False, **options: Any
    ):
        super().__init__("camera", **options)
        self.picture: np.ndarray | None = astronaut()
        self.stamps: list[int] = []
        self._compressed = compressed
        self._publisher = self.create_publisher(CompressedImage if compressed else Image, topic, qos)
        self._timer = self.create_timer(1.0 / 15.0, self._shoot)

    def header(self) -> Header:
        return Header(stamp=self.get_clock().now().to_msg(), frame_id=FRAME_ID)

    def send(self, message: Any) -> None:
        self.stamps.append(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)
        self._publisher.publish(message)

    def _shoot(self) -> None:
        if self.picture is None:
            return
        if not self._compressed:
            self.send(image_to_msg(self.picture, self.header()))
            return
        data = cv2.imencode(".jpg", self.picture[:, :, ::-1])[1]
        self.send(CompressedImage(header=self.header(), format="jpeg", data=array("B", data.tobytes())))


def perception(bundle: Path | None, **parameters: Any) -> FacePerceptionNode:
    """The node as a deployment that allows age and gender sets it, or, without a bundle, nothing.

    Limits of time are wide, so that a busy machine changes nothing.
    """
    chosen: dict[str, Any] = {"pipeline.detect_every_n": 1, "pipeline.reencode_interval_s": 0.2}
    chosen |= {"pipeline.tracker.max_gap_s": 30.0, "image.max_age": 20.0, "image.silence": 60.0}
    if bundle is not None:
        chosen |= {"pipeline.bundle_path": str(bundle), "pipeline.allowed_attributes": ["age", "gender"]}
    chosen |= parameters
    return FacePerceptionNode(parameter_overrides=[Parameter(name, value=value) for name, value in chosen.items()])


def bring_up(node: FacePerceptionNode) -> None:
    """Configures and activates."""
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.refusal
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.refusal


def nanoseconds(header: Header) -> int:
    return header.stamp.sec * 10**9 + header.stamp.nanosec
