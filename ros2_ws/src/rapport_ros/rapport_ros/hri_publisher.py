"""The faces of one image on the topics of REP 155. Import it only where hri_msgs is installed.

Types and qualities of service are those that libhri 2.3 subscribes with. One thread at a time calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from hri_msgs.msg import (
    FacialLandmarks,
    IdsList,
    NormalizedPointOfInterest2D,
    NormalizedRegionOfInterest2D,
    SoftBiometrics,
)
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from rapport_edge.faces import ByteImage, DemographicEstimate, Detection, Track
from rapport_ros import rep155
from rapport_ros.conversions import image_to_msg
from rapport_ros.face_crops import aligned_face, cropped_face
from rapport_ros.qos import NEWEST_RESULT, RESULTS

FACE_TYPES = {
    "roi": NormalizedRegionOfInterest2D,
    "cropped": Image,
    "aligned": Image,
    "landmarks": FacialLandmarks,
    "softbiometrics": SoftBiometrics,
}

GENDERS = {"female": SoftBiometrics.FEMALE, "male": SoftBiometrics.MALE}


#: The publishers of one face, by the last part of their topics.
FaceTopics: TypeAlias = dict[str, Publisher]


class HriPublisher:
    """Publishes faces and creates and destroys their topics with their tracks.

    Args:
        node: owns the publishers.
        width, height: of cropped and aligned faces, pixels.
    """

    def __init__(self, node: Node, width: int, height: int) -> None:
        self._node = node
        self._size = (width, height)
        self._faces: dict[str, FaceTopics] = {}
        self._tracked = node.create_publisher(IdsList, rep155.FACES_TRACKED, RESULTS)

    def publish(
        self, image: ByteImage, header: Header, tracks: list[Track], estimates: dict[str, DemographicEstimate]
    ) -> None:
        """One processed frame.

        Args:
            image: (h, w, 3) uint8 RGB.
            header: of the camera's message.
            tracks: all faces in it; topics of faces that are not among them end.
            estimates: what is believed about them, by track id.
        """
        self._retire(keep={track.id for track in tracks})
        for track in tracks:
            topics = self._faces.get(track.id) or self._open(track.id)
            self._publish_face(topics, image, header, track, estimates.get(track.id))
        self.publish_tracked(header)

    def publish_tracked(self, header: Header) -> None:
        """The ids of the faces in view, again."""
        self._tracked.publish(IdsList(header=header, ids=list(self._faces)))

    def clear(self, header: Header) -> None:
        """No face is in view any more: ends all topics of faces and says so."""
        self._retire(keep=set())
        self.publish_tracked(header)

    def close(self) -> None:
        """Destroys all publishers."""
        self._retire(keep=set())
        self._node.destroy_publisher(self._tracked)

    def _open(self, face_id: str) -> FaceTopics:
        # Without event callbacks: default ones would add a waitable per topic and face to the executor.
        silent = PublisherEventCallbacks(use_default_callbacks=False)
        topics = self._faces[face_id] = {}
        for name, message_type in FACE_TYPES.items():
            topic = rep155.face_topic(face_id, name)
            topics[name] = self._node.create_publisher(message_type, topic, NEWEST_RESULT, event_callbacks=silent)
        return topics

    def _retire(self, keep: set[str]) -> None:
        for face_id in [face_id for face_id in self._faces if face_id not in keep]:
            for publisher in self._faces.pop(face_id).values():
                self._node.destroy_publisher(publisher)

    def _publish_face(
        self, topics: FaceTopics, image: ByteImage, header: Header, track: Track, estimate: DemographicEstimate | None
    ) -> None:
        detection = track.detection
        topics["roi"].publish(roi_message(detection, image, header))
        lazy: dict[str, Callable[[], Any]] = {
            "landmarks": lambda: landmarks_message(detection, image, header),
            "cropped": lambda: _crop_message(cropped_face(image, detection, *self._size), header),
            "aligned": lambda: _crop_message(aligned_face(image, detection, *self._size), header),
            "softbiometrics": lambda: softbiometrics_message(estimate, header),
        }
        for name, make in lazy.items():
            publisher = topics[name]
            message = make() if publisher.get_subscription_count() > 0 else None
            if message is not None:
                publisher.publish(message)


def roi_message(detection: Detection, image: ByteImage, header: Header) -> NormalizedRegionOfInterest2D:
    """The box as shares of width and height, clipped to the image."""
    height, width = image.shape[:2]
    shares = np.clip(detection.box / np.array([width, height, width, height], dtype=np.float32), 0.0, 1.0)
    xmin, ymin, xmax, ymax = (float(share) for share in shares)
    return NormalizedRegionOfInterest2D(
        header=header, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, c=float(detection.score)
    )


def landmarks_message(detection: Detection, image: ByteImage, header: Header) -> FacialLandmarks:
    """70 points of which five are known; the others, and points outside the image, have confidence 0."""
    height, width = image.shape[:2]
    points = [NormalizedPointOfInterest2D() for _ in range(rep155.LANDMARK_COUNT)]
    shares = detection.landmarks / np.array([width, height], dtype=np.float32)
    for index, (x, y) in zip(rep155.FIVE_OF_SEVENTY, shares.tolist(), strict=True):
        if 0.0 <= x <= 1.0 and 0.0 <= y <= 1.0:
            points[index] = NormalizedPointOfInterest2D(x=x, y=y, c=float(detection.score))
    return FacialLandmarks(header=header, landmarks=points, height=height, width=width)


def softbiometrics_message(estimate: DemographicEstimate | None, header: Header) -> SoftBiometrics | None:
    """Age and gender, or None while the age is unknown: libhri would read an age of 0 as zero years.

    The confidence of the age is the probability of its bin.
    """
    if estimate is None or estimate.age is None or not estimate.age.known:
        return None
    message = SoftBiometrics(header=header, age=int(np.clip(round(estimate.age.mean), 1, 255)))
    message.age_confidence = float(estimate.age.distribution.confidence)
    gender = estimate.attributes.get("gender")
    if gender is not None and gender.label is not None:
        message.gender = GENDERS.get(gender.label.lower(), SoftBiometrics.OTHER)
        message.gender_confidence = float(gender.confidence)
    return message


def _crop_message(crop: ByteImage | None, header: Header) -> Image | None:
    return None if crop is None else image_to_msg(crop, header)
