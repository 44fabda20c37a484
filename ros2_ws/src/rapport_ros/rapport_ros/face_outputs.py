"""Everything that face_perception publishes about one frame."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from rapport_edge.faces import ByteImage, DemographicEstimate, FloatArray
from rapport_edge.pipeline import FrameResult, ObservedFace
from rapport_msgs.msg import DemographicEstimate as DemographicEstimateMsg
from rapport_msgs.msg import FaceArray
from rapport_ros import rep155
from rapport_ros.annotation import annotate
from rapport_ros.conversions import add_identity, estimate_to_msg, face_to_msg, image_to_msg
from rapport_ros.qos import NEWEST_RESULT, RESULTS


class FaceOutputs:
    """Publishers of faces, estimates and the annotated image, and the topics of REP 155 where hri_msgs is installed.

    All methods are called by one thread at a time.

    Args:
        node: owns the publishers.
        face_width, face_height: crops of REP 155, pixels.
        identity_digest: SHA-256 of the recogniser in use; "" without one.
    """

    #: REP 155 wants the list of tracked faces at least once a second.
    TRACKED_PERIOD = 0.9

    def __init__(self, node: LifecycleNode, face_width: int, face_height: int, identity_digest: str) -> None:
        self._node = node
        self._identity_digest = identity_digest
        self._faces = node.create_lifecycle_publisher(FaceArray, "faces", RESULTS)
        self._demographics = node.create_lifecycle_publisher(DemographicEstimateMsg, "demographics", RESULTS)
        self._annotated = node.create_lifecycle_publisher(Image, "annotated", NEWEST_RESULT)
        self._hri = None
        if rep155.is_installed():
            from rapport_ros.hri_publisher import HriPublisher

            self._hri = HriPublisher(node, face_width, face_height)
        self._in_view: list[str] = []
        self._header = Header()
        self._size = (0, 0)
        self._last_publish = time.monotonic()

    @property
    def in_view(self) -> list[str]:
        """Ids of the faces of the last frame."""
        return list(self._in_view)

    def publish(
        self, image: ByteImage, header: Header, result: FrameResult, identities: Mapping[str, FloatArray]
    ) -> None:
        """One processed frame, with the stamp and frame id of its image.

        Args:
            image: (h, w, 3) uint8 RGB.
            header: of the camera's message.
            result: what the pipeline found.
            identities: new views of a recogniser by track id.
        """
        self._in_view = [face.track.id for face in result.faces]
        self._header = header
        self._size = (image.shape[1], image.shape[0])
        message = self._face_array(header, list(result.removed))
        message.faces = [face_to_msg(face.track, face.quality, face.gate_refusal) for face in result.faces]
        self._faces.publish(message)
        for face in result.faces:
            if face.encoded_now or face.track.id in identities:
                self._publish_estimate(face, header, identities.get(face.track.id))
        self._publish_optional(image, header, result)
        self._last_publish = time.monotonic()

    def keep_alive(self, silence: float) -> None:
        """To be called while no frame comes: repeats the tracked list, and gives up faces after `silence` seconds."""
        quiet = time.monotonic() - self._last_publish
        if self._in_view and quiet > silence:
            self.clear()
        elif quiet > self.TRACKED_PERIOD and self._hri is not None:
            self._hri.publish_tracked(self._now_header())
            self._last_publish = time.monotonic()

    def clear(self) -> None:
        """Says that no face is in view any more."""
        header = self._now_header()
        self._faces.publish(self._face_array(header, self._in_view))
        self._in_view = []
        if self._hri is not None:
            self._hri.clear(header)
        self._last_publish = time.monotonic()

    def close(self) -> None:
        """Destroys all publishers."""
        for publisher in (self._faces, self._demographics, self._annotated):
            self._node.destroy_lifecycle_publisher(publisher)
        if self._hri is not None:
            self._hri.close()

    def _publish_estimate(self, face: ObservedFace, header: Header, identity: FloatArray | None) -> None:
        """A view of a recogniser alone repeats no estimate, because each message counts as evidence."""
        message = estimate_to_msg(face.estimate if face.encoded_now else None, face.track.id, header)
        if identity is not None:
            add_identity(message, identity, self._identity_digest)
        self._demographics.publish(message)

    def _publish_optional(self, image: ByteImage, header: Header, result: FrameResult) -> None:
        """What depends on a subscriber or on hri_msgs."""
        annotated_wanted = self._annotated.get_subscription_count() > 0
        if not annotated_wanted and self._hri is None:
            return
        tracks = [face.track for face in result.faces]
        estimates: dict[str, DemographicEstimate] = {
            face.track.id: face.estimate for face in result.faces if face.estimate is not None
        }
        if self._hri is not None:
            self._hri.publish(image, header, tracks, estimates)
        if annotated_wanted:
            self._annotated.publish(image_to_msg(annotate(image, tracks, estimates), header))

    def _face_array(self, header: Header, removed: list[str]) -> FaceArray:
        width, height = self._size
        return FaceArray(header=header, image_width=width, image_height=height, removed=removed)

    def _now_header(self) -> Header:
        """For messages that no image causes: the camera's frame, and the time now."""
        return Header(stamp=self._node.get_clock().now().to_msg(), frame_id=self._header.frame_id)
