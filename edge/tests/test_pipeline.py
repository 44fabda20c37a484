"""The whole way from image to estimate, on real photographs and clips, with CenterFace and a random encoder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from rapport_edge.bundle import Bundle
from rapport_edge.detection import DetectorSettings, FaceDetector, create_detector
from rapport_edge.encoding import FaceEncoder
from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.engines.base import Engine, TensorInfo
from rapport_edge.errors import ModelError, SettingsError
from rapport_edge.faces import ByteImage
from rapport_edge.fusion import FusionSettings
from rapport_edge.pipeline import FacePipeline, FrameResult, PipelineSettings, create_pipeline
from rapport_edge.quality import GateSettings, QualityGate
from rapport_edge.tracking import FaceTracker, TrackerSettings

#: A random encoder says nothing about who someone is.
ANYBODY = FusionSettings(break_cosine=-1.0)
BOTH = ("age", "gender")


class WatchedEngine:
    """A real engine that notes the batches it ran, and fails on request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.batches: list[int] = []
        self.fail_next = False

    @property
    def description(self) -> str:
        return self._engine.description

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        return self._engine.inputs

    @property
    def outputs(self) -> Sequence[TensorInfo]:
        return self._engine.outputs

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        if self.fail_next:
            self.fail_next = False
            raise ModelError("the device went away")
        self.batches.append(len(next(iter(feeds.values()))))
        return self._engine.run(feeds)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return create_detector(DetectorSettings())


@pytest.fixture
def engine(tiny_bundle: Bundle) -> WatchedEngine:
    return WatchedEngine(create_engine(tiny_bundle.onnx_path, EngineSettings(name="onnxruntime-cpu")))


def build(detector: FaceDetector, bundle: Bundle, engine: WatchedEngine, **changes: Any) -> FacePipeline:
    settings = msgspec.structs.replace(PipelineSettings(allowed_attributes=BOTH, fusion=ANYBODY), **changes)
    encoder = FaceEncoder(bundle, engine) if settings.allowed_attributes else None
    return FacePipeline(detector, FaceTracker(settings.tracker), QualityGate(settings.gate), encoder, settings)


def view(sigma: float = 0.0, faces: int = 1, scale: float = 1.0) -> ByteImage:
    """The astronaut's head, once or several times side by side, on 640 x 480."""
    head = data.astronaut()[20:240, 120:330]
    head = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = np.full((480, 640, 3), 90, dtype=np.uint8)
    for index in range(faces):
        x = 5 + 212 * index
        image[100 : 100 + head.shape[0], x : x + head.shape[1]] = head
    return image if sigma == 0.0 else np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


def empty() -> ByteImage:
    return np.full((480, 640, 3), 90, dtype=np.uint8)


def play(pipeline: FacePipeline, images: Sequence[ByteImage], start: float = 100.0) -> list[FrameResult]:
    return [pipeline.process(image, start + i / 30) for i, image in enumerate(images)]


def encoded(results: Sequence[FrameResult]) -> list[int]:
    return [i for i, result in enumerate(results) if any(face.encoded_now for face in result.faces)]


def test_a_face_gets_an_id_a_quality_and_an_estimate(detector, tiny_bundle, engine) -> None:
    results = play(build(detector, tiny_bundle, engine), [view()] * 8)
    assert [len(result.faces) for result in results] == [0] + [1] * 7
    assert len({result.faces[0].track.id for result in results[1:]}) == 1
    face = results[1].faces[0]
    assert face.encoded_now
    assert face.quality is not None
    assert face.quality.score > 0.4
    assert face.estimate is not None
    assert face.estimate.age is not None
    assert 0 <= face.estimate.age.low <= face.estimate.age.high
    assert set(face.estimate.attributes) == {"gender"}
    assert face.estimate.model_digest == tiny_bundle.digest
    assert results[-1].faces[0].estimate == face.estimate
    assert results[-1].stamp == pytest.approx(100 + 7 / 30)


def test_the_detector_sees_every_nth_frame_and_those_that_confirm_a_face(detector, tiny_bundle, engine) -> None:
    pipeline = build(detector, tiny_bundle, engine, detect_every_n=4)
    results = play(pipeline, [empty()] * 5 + [view()] * 10)
    # 0 and 4 on schedule, 8 finds the face, 9 confirms it, then every fourth frame again.
    assert [i for i, result in enumerate(results) if "detect" in result.timings] == [0, 4, 8, 9, 13]
    assert [len(result.faces) for result in results] == [0] * 9 + [1] * 6
    assert [face.track.measured for result in results[9:] for face in result.faces] == [
        True, False, False, False, True, False,
    ]  # fmt: skip
    assert all(face.quality is None for result in results[10:13] for face in result.faces)


def test_a_track_is_encoded_again_after_the_interval_only(detector, tiny_bundle, engine) -> None:
    results = play(build(detector, tiny_bundle, engine, reencode_interval_s=0.5), [view()] * 40)
    first, *later = encoded(results)
    assert first == 1
    assert later == [16, 31]
    assert results[-1].faces[0].estimate.observations == 3


def test_a_clearly_better_view_is_encoded_at_once(detector, tiny_bundle, engine) -> None:
    pipeline = build(detector, tiny_bundle, engine, reencode_interval_s=60.0)
    results = play(pipeline, [view(sigma=2.0)] * 9 + [view()] * 9)
    assert len(encoded(results)) == 2
    assert 9 <= encoded(results)[1] <= 11


def test_faces_that_are_due_together_make_one_batch(detector, tiny_bundle, engine) -> None:
    results = play(build(detector, tiny_bundle, engine), [view(faces=3)] * 4)
    assert len(results[-1].faces) == 3
    assert engine.batches == [3]
    assert all(face.encoded_now for face in results[1].faces)


def test_only_the_largest_faces_are_followed(detector, tiny_bundle, engine) -> None:
    image = view(faces=2)
    small = view(scale=0.5)[100:210, 5:110]
    image[300:410, 500:605] = small
    results = play(build(detector, tiny_bundle, engine, max_faces=2), [image] * 4)
    assert len(results[-1].faces) == 2
    assert all(face.quality is None or face.quality.size_px > 60 for face in results[-1].faces)


def test_poor_views_are_refused_and_counted(detector, tiny_bundle, engine) -> None:
    pipeline = build(detector, tiny_bundle, engine, gate=GateSettings(min_size_px=500))
    results = play(pipeline, [view()] * 7)
    measured = [face for result in results for face in result.faces if face.quality is not None]
    assert [face.gate_refusal for face in measured] == ["small"] * len(measured)
    assert dict(pipeline.refusals) == {"small": len(measured)}
    assert all(face.estimate is None and not face.encoded_now for result in results for face in result.faces)
    assert engine.batches == []


def test_a_face_that_leaves_is_named_once_and_comes_back_as_somebody_new(detector, tiny_bundle, engine) -> None:
    pipeline = build(detector, tiny_bundle, engine, tracker=TrackerSettings(max_misses=2))
    results = play(pipeline, [view()] * 6 + [empty()] * 15 + [view()] * 6)
    first, last = results[5].faces[0], results[-1].faces[0]
    assert [name for result in results for name in result.removed] == [first.track.id]
    assert last.track.id != first.track.id
    assert last.estimate.observations == 1


def test_only_allowed_attributes_are_estimated(detector, tiny_bundle, engine) -> None:
    estimate = play(build(detector, tiny_bundle, engine, allowed_attributes=("gender",)), [view()] * 2)[-1]
    assert estimate.faces[0].estimate.age is None
    assert set(estimate.faces[0].estimate.attributes) == {"gender"}


def test_where_nothing_is_allowed_nothing_is_inferred(detector) -> None:
    settings = PipelineSettings(bundle_path="/there/is/no/such/bundle")
    pipeline = create_pipeline(settings)
    result = play(pipeline, [view()] * 2)[-1]
    assert pipeline.encoder is None
    assert result.faces[0].estimate is None
    assert result.faces[0].quality is not None
    assert pipeline.crop(view(), result.faces[0].track).shape == (112, 112, 3)


def test_an_attribute_that_the_bundle_lacks_is_refused_by_name(tiny_bundle) -> None:
    settings = PipelineSettings(bundle_path=str(tiny_bundle.path), allowed_attributes=("age", "mood"))
    with pytest.raises(SettingsError, match=r"mood.*gender, age"):
        create_pipeline(settings)


def test_settings_come_from_json_and_are_checked() -> None:
    text = b'{"detect_every_n": 2, "tracker": {"max_misses": 3}, "allowed_attributes": ["age"]}'
    settings = msgspec.json.decode(text, type=PipelineSettings)
    assert (settings.detect_every_n, settings.tracker.max_misses, settings.allowed_attributes) == (2, 3, ("age",))
    for wrong in (b'{"detect_every_n": 0}', b'{"detect_every": 2}', b'{"gate": {"max_yaw": 200}}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong, type=PipelineSettings)


def test_a_model_that_fails_once_costs_one_frame(detector, tiny_bundle, engine) -> None:
    pipeline = build(detector, tiny_bundle, engine, detect_every_n=1)
    play(pipeline, [view()])
    engine.fail_next = True
    with pytest.raises(ModelError, match="went away"):
        pipeline.process(view(), 100.1)
    assert pipeline.process(view(), 100.2).faces[0].encoded_now


@pytest.mark.parametrize("shape", [(480, 640), (480, 640, 4), (0, 640, 3)])
def test_an_image_of_another_shape_is_refused(detector, tiny_bundle, engine, shape: tuple[int, ...]) -> None:
    pipeline = build(detector, tiny_bundle, engine)
    for _ in range(2):  # on a detector frame and on one in between
        with pytest.raises(ValueError, match="RGB"):
            pipeline.process(np.zeros(shape, dtype=np.uint8), 0.0)


def test_a_clock_that_jumps_ends_tracks_and_the_pipeline_goes_on(detector, tiny_bundle, engine) -> None:
    pipeline = build(detector, tiny_bundle, engine)
    before = play(pipeline, [view()] * 3, start=100.0)[-1]
    after = play(pipeline, [view()] * 6, start=10.0)
    assert dict(pipeline.resets) == {"clock-backwards": 1}
    assert [name for result in after for name in result.removed] == [before.faces[0].track.id]
    assert len(after[-1].faces) == 1


def test_the_crop_is_the_aligned_face(detector, tiny_bundle, engine) -> None:
    pipeline = build(detector, tiny_bundle, engine)
    track = play(pipeline, [view()] * 2)[-1].faces[0].track
    side = tiny_bundle.crop.size
    assert pipeline.crop(view(), track).shape == (side, side, 3)


def clip(path: str, count: int) -> list[ByteImage]:
    capture, frames = cv2.VideoCapture(path), []
    while len(frames) < count:
        more, frame = capture.read()
        if not more:
            break
        frames.append(np.ascontiguousarray(frame[:, :, ::-1]))
    return frames


@pytest.mark.parametrize(("name", "faces"), [("sister.mkv", 1), ("head-pose-face-detection-female-and-male.gif", 2)])
def test_people_in_real_clips_keep_one_id_each(shared_data, detector, tiny_bundle, engine, name, faces) -> None:
    frames = clip(str(shared_data / "people" / "video" / name), 45)
    pipeline = build(detector, tiny_bundle, engine)
    results = play(pipeline, frames)
    ids = Counter(face.track.id for result in results for face in result.faces)
    assert len(ids) == faces
    assert min(ids.values()) >= len(frames) - 2
    assert all(face.estimate is not None for face in results[-1].faces)
    assert all(math.isfinite(face.estimate.age.mean) for face in results[-1].faces)
