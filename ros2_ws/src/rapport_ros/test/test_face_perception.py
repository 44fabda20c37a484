"""face_perception over real DDS: a camera publishes a photograph, faces and estimates come back."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from perception_setup import FRAME_ID, Camera, astronaut, bring_up, nanoseconds, perception
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from tiny_bundle import write_tiny, write_tiny_recogniser

from rapport_msgs.msg import DemographicEstimate, FaceArray
from rapport_ros.conversions import image_to_msg, seconds_to_stamp, stamp_to_seconds
from rapport_ros.qos import RESULTS

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """An encoder for age and gender with random weights, in the real format."""
    return write_tiny(tmp_path_factory.mktemp("bundles") / "random").path


@pytest.fixture
def listener(graph):
    return graph.add(Node("listener"))


@pytest.fixture
def logged(monkeypatch):
    """Every line that a node logs as a warning or an error."""
    from rclpy.impl.rcutils_logger import RcutilsLogger

    lines: list[str] = []
    for level in ("warning", "error"):
        original = getattr(RcutilsLogger, level)

        def spy(self, message, _original=original, **options):
            lines.append(message)
            return _original(self, message, **options)

        monkeypatch.setattr(RcutilsLogger, level, spy)
    return lines


def drops(node) -> dict[str, int]:
    return node._input.drops.counts()


def with_faces(messages):
    return [message for message in list(messages) if message.faces]


def test_faces_carry_the_stamp_and_frame_of_their_image(graph, listener, bundle):
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    camera = graph.add(Camera())
    bring_up(graph.add(perception(bundle)))
    message = graph.wait_for(lambda: with_faces(arrays), "a face")[-1]
    assert nanoseconds(message.header) in camera.stamps
    assert message.header.frame_id == FRAME_ID
    assert (message.image_width, message.image_height) == (640, 480)
    face = message.faces[0]
    assert face.id[0].isalpha()
    # The astronaut's face: about a fifth of the picture, right of its upper left third.
    centre = ((face.x_min + face.x_max) / 2 / 640, (face.y_min + face.y_max) / 2 / 480)
    assert centre == pytest.approx((0.43, 0.23), abs=0.07)
    eyes = np.reshape(face.landmarks, (5, 2))[:2]
    assert face.x_min < eyes[0, 0] < eyes[1, 0] < face.x_max


def test_estimates_carry_uncertainty_and_the_models_digest(graph, listener, bundle):
    estimates = graph.collect(listener, DemographicEstimate, "demographics", RESULTS)
    camera = graph.add(Camera())
    bring_up(graph.add(perception(bundle)))
    message = graph.wait_for(lambda: [e for e in list(estimates) if e.observations >= 3], "three fused views")[-1]
    assert nanoseconds(message.header) in camera.stamps
    assert len(message.model_digest) == 64
    assert message.age_low <= message.age_mean <= message.age_high and message.age_std > 0.0
    assert sum(message.age.probabilities) == pytest.approx(1.0, abs=1e-4)
    assert [attribute.name for attribute in message.attributes] == ["gender"]
    assert np.linalg.norm(message.embedding) == pytest.approx(1.0, abs=1e-4)


def test_a_named_recogniser_adds_views_of_identity(graph, listener, tmp_path):
    recogniser = write_tiny_recogniser(tmp_path / "recogniser")
    estimates = graph.collect(listener, DemographicEstimate, "demographics", RESULTS)
    graph.add(Camera())
    bring_up(graph.add(perception(bundle=None, recognizer_bundle=str(recogniser.path))))
    message = graph.wait_for(lambda: estimates, "a view")[-1]
    assert np.linalg.norm(message.identity_embedding) == pytest.approx(1.0, abs=1e-4)
    assert message.identity_model_digest == recogniser.digest
    assert (message.observations, len(message.embedding), message.age_known) == (0, 0, False)


def test_without_an_allowed_attribute_nothing_is_inferred(graph, listener):
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    estimates = graph.collect(listener, DemographicEstimate, "demographics", RESULTS)
    graph.add(Camera())
    bring_up(graph.add(perception(bundle=None)))
    graph.wait_for(lambda: with_faces(arrays)[5:], "faces in some frames")
    assert estimates == []


def test_compressed_images(graph, listener, bundle):
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    graph.add(Camera("image/compressed", compressed=True))
    parameters = {"image.topic": "image/compressed", "image.transport": "compressed"}
    bring_up(graph.add(perception(bundle, **parameters)))
    graph.wait_for(lambda: with_faces(arrays), "a face in a JPEG")


BAD_IMAGES = {
    "truncated": Image(height=480, width=640, step=1920, encoding="rgb8", data=array("B", bytes(1000))),
    "short step": Image(height=480, width=640, step=7, encoding="rgb8", data=array("B", bytes(640 * 480 * 3))),
    "unknown encoding": Image(height=2, width=2, step=6, encoding="32FC7", data=array("B", bytes(12))),
    "empty": Image(encoding="rgb8"),
    "too large to be true": Image(height=2**31, width=2**31, step=2**32 - 1, encoding="rgb8"),
}


def test_bad_frames_are_counted_and_the_node_lives(graph, listener, bundle, logged):
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    camera = graph.add(Camera())
    camera.picture = None
    node = graph.add(perception(bundle))
    bring_up(node)
    graph.wait_for(lambda: camera.count_subscribers("image"), "the subscription")
    for count, image in enumerate(BAD_IMAGES.values(), 1):
        image.header = camera.header()
        camera.send(image)
        graph.wait_for(lambda expected=count: drops(node).get("undecodable") == expected, f"bad image {count} counted")
    assert any("image on '/image' dropped" in line for line in logged)
    camera.picture = astronaut()
    graph.wait_for(lambda: with_faces(arrays), "a face after bad frames")


def test_a_truncated_jpeg_is_counted(graph, bundle):
    camera = graph.add(Camera("image/compressed", compressed=True))
    camera.picture = None
    node = graph.add(perception(bundle, **{"image.topic": "image/compressed", "image.transport": "compressed"}))
    bring_up(node)
    graph.wait_for(lambda: camera.count_subscribers("image/compressed"), "the subscription")
    camera.send(
        CompressedImage(header=camera.header(), format="jpeg", data=array("B", b"\xff\xd8\xff\xe0 and no more"))
    )
    graph.wait_for(lambda: drops(node).get("undecodable") == 1, "the JPEG counted")


@pytest.mark.parametrize(("delay", "reason"), [(30.0, "too_old"), (0.4, "time_went_backwards")])
def test_late_and_overtaken_frames_are_dropped_by_reason(graph, bundle, delay, reason):
    camera = graph.add(Camera())
    node = graph.add(perception(bundle))
    bring_up(node)
    graph.wait_for(node._input.ages.percentiles_ms, "a processed image")
    camera.picture, picture = None, camera.picture
    header = camera.header()
    header.stamp = seconds_to_stamp(stamp_to_seconds(header.stamp) - delay)
    camera.send(image_to_msg(picture, header))
    graph.wait_for(lambda: drops(node).get(reason), reason)


def test_a_qos_mismatch_names_both_sides(graph, bundle, logged):
    graph.add(Camera(qos=QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)))
    bring_up(graph.add(perception(bundle, **{"image.reliability": "reliable"})))
    line = graph.wait_for(lambda: [text for text in logged if "does not match" in text], "a line about the mismatch")[0]
    assert "'/image'" in line and "RELIABILITY" in line
    assert "/camera offers BEST_EFFORT, VOLATILE" in line
    assert "/face_perception asks for RELIABLE, VOLATILE" in line


def test_silence_is_explained(graph, bundle, logged):
    bring_up(graph.add(perception(bundle, **{"image.silence": 0.3})))
    line = graph.wait_for(lambda: [text for text in logged if "no image on" in text], "a line about silence")[0]
    assert "'/image'" in line and "nobody publishes it" in line


def test_a_publisher_of_another_type_is_named(graph, bundle, logged):
    elsewhere = Context()
    rclpy.init(context=elsewhere)
    camera = Camera(compressed=True, context=elsewhere)
    bring_up(graph.add(perception(bundle, **{"image.silence": 0.5})))
    graph.wait_for(lambda: [text for text in logged if "sensor_msgs/msg/CompressedImage" in text], "the other type")
    camera.destroy_node()
    rclpy.shutdown(context=elsewhere)


def test_a_topic_that_has_another_type_in_this_process_is_refused(graph, bundle):
    graph.add(Camera(compressed=True))
    node = graph.add(perception(bundle))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
    assert "cannot subscribe to 'image' as Image" in node.refusal


def test_the_annotated_image_is_drawn_only_for_subscribers(graph, listener, bundle, monkeypatch):
    from rapport_ros import face_outputs

    drawn = []
    original = face_outputs.annotate
    monkeypatch.setattr(face_outputs, "annotate", lambda *a: drawn.append(1) or original(*a))
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    camera = graph.add(Camera())
    bring_up(graph.add(perception(bundle)))
    graph.wait_for(lambda: with_faces(arrays)[3:], "faces")
    assert drawn == []
    images = graph.collect(listener, Image, "annotated", QoSProfile(depth=1))
    message = graph.wait_for(lambda: images, "an annotated image")[-1]
    assert (message.width, message.height, message.encoding) == (640, 480, "rgb8")
    assert nanoseconds(message.header) in camera.stamps
    assert not np.array_equal(np.frombuffer(message.data, np.uint8).reshape(480, 640, 3), camera.picture)


def test_deactivating_with_a_face_in_view_says_that_it_is_gone(graph, listener, bundle):
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    graph.add(Camera())
    node = graph.add(perception(bundle))
    bring_up(node)
    seen = graph.wait_for(lambda: with_faces(arrays), "a face")[-1].faces[0].id
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    last = graph.wait_for(lambda: not arrays[-1].faces and arrays[-1], "an empty list")
    assert last.removed == [seen]
    count = len(arrays)
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    graph.wait_for(lambda: with_faces(arrays[count:]), "faces after the second activation")


def test_faces_are_given_up_when_the_camera_stops(graph, listener, bundle):
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    camera = graph.add(Camera())
    bring_up(graph.add(perception(bundle, **{"image.silence": 0.5})))
    graph.wait_for(lambda: with_faces(arrays), "a face")
    camera.picture = None
    graph.wait_for(lambda: not arrays[-1].faces, "an empty list")


def test_diagnostics_tell_rates_latency_drops_and_models(graph, listener, bundle):
    received = graph.collect(listener, DiagnosticArray, "/diagnostics", 10)
    graph.add(Camera())
    bring_up(graph.add(perception(bundle)))

    def complete():
        statuses = [
            status for message in list(received) for status in message.status if "stage encode ms p50" in _keys(status)
        ]
        return statuses and statuses[-1]

    status = graph.wait_for(complete, "a full report")
    values = {value.key: value.value for value in status.values}
    assert status.name == "/face_perception"
    assert len(values["model digest"]) == 64 and "onnxruntime" in values["encoder"]
    for key in (
        "received Hz",
        "processed Hz",
        "latency ms p99",
        "overhead ms p50",
        "image age ms p95",
        "stage detect ms p50",
    ):
        assert math.isfinite(float(values[key])), key


def _keys(status):
    return {value.key for value in status.values}


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"pipeline.detector.score_threshold": 2.0}, "pipeline.detector.score_threshold"),
        ({"pipeline.bundle_path": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"pipeline.allowed_attributes": ["shoe_size"]}, "shoe_size"),
        ({"image.topick": "x"}, "did you mean image.topic?"),
    ],
)
def test_refused_parameters_are_named_and_can_be_corrected(graph, bundle, parameters, reason):
    node = graph.add(perception(bundle, **parameters))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert reason in node.refusal
    assert node.get_publisher_names_and_types_by_node("face_perception", "/")
    assert not node.count_publishers("faces")


def test_transient_local_cameras_are_taken_too(graph, listener, bundle):
    arrays = graph.collect(listener, FaceArray, "faces", RESULTS)
    latched = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    graph.add(Camera(qos=latched))
    bring_up(graph.add(perception(bundle)))
    graph.wait_for(lambda: with_faces(arrays), "a face")
