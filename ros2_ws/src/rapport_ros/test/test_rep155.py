"""Topics, types and qualities of service of REP 155, asked of the live graph."""

from __future__ import annotations

import numpy as np
import pytest
from perception_setup import FRAME_ID, Camera, bring_up, nanoseconds, perception
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tiny_bundle import write_tiny

from rapport_edge.faces import AgeEstimate, AttributeEstimate, DemographicEstimate, Detection
from rapport_ros import rep155
from rapport_ros.face_crops import aligned_face, cropped_face
from rapport_ros.qos import NEWEST_RESULT, RESULTS

hri = pytest.importorskip("hri_msgs.msg", reason="hri_msgs is not installed: apt install ros-jazzy-hri-msgs")
hri_publisher = pytest.importorskip("rapport_ros.hri_publisher")

#: Last part of a face's topic to its type, as the REP has it.
FACE_TOPICS = {
    "roi": "hri_msgs/msg/NormalizedRegionOfInterest2D",
    "cropped": "sensor_msgs/msg/Image",
    "aligned": "sensor_msgs/msg/Image",
    "landmarks": "hri_msgs/msg/FacialLandmarks",
    "softbiometrics": "hri_msgs/msg/SoftBiometrics",
}

#: Fields of the messages, so that a test copy of hri_msgs cannot drift from the real package.
FIELDS = {
    "IdsList": {"header": "std_msgs/Header", "ids": "sequence<string>"},
    "NormalizedRegionOfInterest2D": {
        "header": "std_msgs/Header", "xmin": "float", "ymin": "float", "xmax": "float", "ymax": "float", "c": "float",
    },
    "NormalizedPointOfInterest2D": {"x": "float", "y": "float", "c": "float"},
    "FacialLandmarks": {
        "header": "std_msgs/Header", "landmarks": "hri_msgs/NormalizedPointOfInterest2D[70]",
        "height": "uint32", "width": "uint32",
    },
    "SoftBiometrics": {
        "header": "std_msgs/Header", "age": "uint8", "age_confidence": "float", "gender": "uint8",
        "gender_confidence": "float",
    },
    "IdsMatch": {"id1": "string", "id1_type": "int8", "id2": "string", "id2_type": "int8", "confidence": "float"},
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_the_installed_messages_have_the_fields_of_the_standard(name):
    assert getattr(hri, name).get_fields_and_field_types() == FIELDS[name]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("bundles") / "random").path


@pytest.fixture
def listener(graph):
    return graph.add(Node("listener"))


def face_in_view(graph, listener):
    """The id of a tracked face."""
    lists = graph.collect(listener, hri.IdsList, rep155.FACES_TRACKED, RESULTS)
    message = graph.wait_for(lambda: [m for m in list(lists) if m.ids], "a tracked face")[-1]
    return message.ids[0], lists


@pytest.mark.live
def test_topics_types_and_qos_of_a_face(graph, listener, bundle):
    graph.add(Camera())
    bring_up(graph.add(perception(bundle)))
    face_id, _ = face_in_view(graph, listener)
    assert face_id[0].isalpha()

    def offered(topic):
        return [info for info in listener.get_publishers_info_by_topic(topic) if info.node_name == "face_perception"]

    expected = {rep155.FACES_TRACKED: "hri_msgs/msg/IdsList"}
    expected |= {f"/humans/faces/{face_id}/{name}": kind for name, kind in FACE_TOPICS.items()}
    for topic, kind in expected.items():
        (info,) = graph.wait_for(lambda t=topic: offered(t), topic)
        assert info.topic_type == kind
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert info.qos_profile.durability == DurabilityPolicy.VOLATILE


@pytest.mark.live
def test_what_a_face_publishes(graph, listener, bundle):
    camera = graph.add(Camera())
    bring_up(graph.add(perception(bundle, **{"/humans/faces/width": 96, "/humans/faces/height": 112})))
    face_id, _ = face_in_view(graph, listener)
    kinds = {
        "roi": hri.NormalizedRegionOfInterest2D,
        "cropped": Image,
        "aligned": Image,
        "landmarks": hri.FacialLandmarks,
    }
    received = {
        name: graph.collect(listener, kind, rep155.face_topic(face_id, name), NEWEST_RESULT)
        for name, kind in kinds.items()
    }
    graph.wait_for(lambda: all(received.values()), "a message on each topic")
    last = {name: messages[-1] for name, messages in received.items()}
    assert all(nanoseconds(message.header) in camera.stamps for message in last.values())
    assert all(message.header.frame_id == FRAME_ID for message in last.values())
    roi = last["roi"]
    assert 0.0 <= roi.xmin < roi.xmax <= 1.0 and 0.0 <= roi.ymin < roi.ymax <= 1.0 and 0.0 < roi.c <= 1.0
    for name in ("cropped", "aligned"):
        assert (last[name].width, last[name].height) == (96, 112)
        assert np.frombuffer(last[name].data, np.uint8).std() > 20.0
    known = [index for index, point in enumerate(last["landmarks"].landmarks) if point.c > 0.0]
    assert known == [30, 48, 54, 68, 69]
    right_eye, left_eye = (last["landmarks"].landmarks[index] for index in (68, 69))
    assert roi.xmin < right_eye.x < left_eye.x < roi.xmax


@pytest.mark.live
def test_deactivating_with_a_face_in_view_empties_the_list_and_ends_its_topics(graph, listener, bundle):
    graph.add(Camera())
    node = graph.add(perception(bundle))
    bring_up(node)
    face_id, lists = face_in_view(graph, listener)
    node.trigger_deactivate()
    graph.wait_for(lambda: list(lists[-1].ids) == [], "an empty list")
    graph.wait_for(lambda: not listener.count_publishers(rep155.face_topic(face_id, "roi")), "the end of its topics")


@pytest.mark.live
def test_the_list_is_repeated_while_no_image_comes(graph, listener, bundle):
    lists = graph.collect(listener, hri.IdsList, rep155.FACES_TRACKED, RESULTS)
    bring_up(graph.add(perception(bundle)))
    graph.wait_for(lambda: len(lists) >= 3, "three empty lists")
    stamps = [nanoseconds(message.header) for message in lists]
    assert all(not message.ids for message in lists) and stamps == sorted(stamps) and stamps[0] > 0


def distribution(name, labels, known):
    share = np.full(len(labels), 1.0 / len(labels), dtype=np.float32)
    return AttributeEstimate(name, labels, share, labels[-1] if known else None, 0.9)


def estimate(age_known=True, gender="Female", with_age=True):
    age = AgeEstimate(distribution("age", ("20-29", "30-39"), age_known), 31.4, 4.0, 25.0, 38.0)
    attributes = {"gender": distribution("gender", ("Male", "Female"), gender is not None)}
    return DemographicEstimate(age if with_age else None, attributes, np.ones(1, np.float32), 1, "0" * 64)


def test_softbiometrics_only_once_the_age_is_known():
    header = Header(frame_id=FRAME_ID)
    assert hri_publisher.softbiometrics_message(None, header) is None
    assert hri_publisher.softbiometrics_message(estimate(age_known=False), header) is None
    assert hri_publisher.softbiometrics_message(estimate(with_age=False), header) is None
    message = hri_publisher.softbiometrics_message(estimate(), header)
    assert (message.age, message.gender) == (31, hri.SoftBiometrics.FEMALE)
    assert message.age_confidence == pytest.approx(0.9) and message.gender_confidence == pytest.approx(0.9)


def test_an_unknown_gender_is_undefined():
    message = hri_publisher.softbiometrics_message(estimate(gender=None), Header())
    assert (message.gender, message.gender_confidence) == (hri.SoftBiometrics.UNDEFINED, 0.0)


def detection(box):
    return Detection(np.array(box, np.float32), np.zeros((5, 2), np.float32), 0.8)


def test_crops_keep_proportions_and_survive_boxes_outside():
    image = np.full((100, 200, 3), 255, np.uint8)
    wide = cropped_face(image, detection([10, 10, 110, 60]), 128, 128)
    assert wide.shape == (128, 128, 3)
    assert (wide[:, 64] == 255).all(axis=1).sum() == 64
    assert cropped_face(image, detection([300, 10, 400, 60]), 128, 128) is None
    assert aligned_face(image, detection([10, 10, 60, 60]), 128, 128) is None


def test_a_region_beyond_the_image_is_clipped():
    message = hri_publisher.roi_message(detection([-20, 10, 400, 50]), np.zeros((100, 200, 3), np.uint8), Header())
    assert (message.xmin, message.xmax) == (0.0, 1.0)
    assert (message.ymin, message.ymax) == pytest.approx((0.1, 0.5))
