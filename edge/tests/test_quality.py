"""Quality of a view: pose against known rotations, sharpness against known blur, truncation, the gate."""

from __future__ import annotations

from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from rapport_edge.alignment import ARCFACE_112
from rapport_edge.faces import ByteImage, Detection, FaceQuality, FloatArray
from rapport_edge.head_pose import FACE_POINTS, HeadPose, estimate_head_pose
from rapport_edge.quality import GateSettings, QualityGate, assess, measure_sharpness, view_score, visible_share

GOOD = FaceQuality(size_px=120, sharpness=0.9, yaw=5, pitch=-5, roll=40, visible=1.0, score=0.9)
#: The astronaut's face, read off the photograph.
ASTRONAUT_BOX = np.array([180, 66, 266, 180], dtype=np.float32)
ASTRONAUT_LANDMARKS = np.array([[203, 107], [243, 108], [225, 133], [206, 148], [242, 148]], dtype=np.float32)


def astronaut() -> tuple[ByteImage, Detection]:
    return np.ascontiguousarray(data.astronaut()), Detection(ASTRONAUT_BOX, ASTRONAUT_LANDMARKS, 0.9)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Independent of the code under test: OpenCV's axis-angle vectors, one axis at a time."""
    about = [np.array([0, 0, roll]), np.array([0, -yaw, 0]), np.array([-pitch, 0, 0])]
    first, second, third = (cv2.Rodrigues(np.radians(vector.astype(np.float64)))[0] for vector in about)
    return np.asarray(first @ second @ third)


def project(angles: tuple[float, float, float], distance: float, size: float, x: float, y: float) -> FloatArray:
    """Landmarks of the mean face through a pinhole camera `distance` eye distances away."""
    points = FACE_POINTS @ rotation(*angles).T
    plane = points[:, :2] * (distance / (points[:, 2:] + distance))
    return (plane * size + [x, y]).astype(np.float32)


angle = st.floats(-45, 45)


@given(angle, st.floats(-30, 30), angle, st.floats(10, 300), st.floats(-500, 2000), st.floats(-500, 2000))
def test_known_rotations_come_back_from_afar(
    yaw: float, pitch: float, roll: float, size: float, x: float, y: float
) -> None:
    pose = estimate_head_pose(project((yaw, pitch, roll), 1000.0, size, x, y))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=0.7)


@given(angle, st.floats(-30, 30), angle, st.floats(12, 40))
def test_known_rotations_come_back_within_a_few_degrees_at_speaking_distance(
    yaw: float, pitch: float, roll: float, distance: float
) -> None:
    pose = estimate_head_pose(project((yaw, pitch, roll), distance, 40.0, 320.0, 240.0))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=3.0)


def test_pose_has_the_signs_that_its_names_promise() -> None:
    for name in ("yaw", "pitch", "roll"):
        turned = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0} | {name: 20.0}
        points = project((turned["yaw"], turned["pitch"], turned["roll"]), 30.0, 40.0, 0.0, 0.0)
        middle = points[[0, 1, 3, 4]].mean(axis=0)
        signs = {
            "yaw": points[2, 0] - middle[0],
            "pitch": middle[1] - points[2, 1],
            "roll": points[1, 1] - points[0, 1],
        }
        assert signs[name] > 1.0, name


def test_the_alignment_template_is_a_frontal_face() -> None:
    assert estimate_head_pose(ARCFACE_112) == pytest.approx((0.0, 0.0, 0.0), abs=1.5)


@pytest.mark.parametrize("landmarks", [np.zeros((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), np.inf)])
def test_landmarks_without_extent_have_no_pose(landmarks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="coincide"), np.errstate(invalid="ignore"):
        estimate_head_pose(landmarks.astype(np.float32))


def test_the_astronaut_is_a_good_view() -> None:
    quality = assess(*astronaut())
    assert quality.size_px == 86
    assert quality.visible == 1.0
    assert abs(quality.yaw) < 20
    assert abs(quality.pitch) < 20
    assert abs(quality.roll) < 10
    assert quality.sharpness > 0.7
    assert 0.5 < quality.score <= 1.0
    assert QualityGate().refusal(quality) is None


def test_blur_lowers_sharpness_step_by_step_until_the_gate_refuses() -> None:
    image, face = astronaut()
    eyes = float(np.linalg.norm(face.landmarks[0] - face.landmarks[1]))
    views = [assess(cv2.GaussianBlur(image, (0, 0), share * eyes), face) for share in (0.005, 0.02, 0.04, 0.07, 0.12)]
    sharpness = [view.sharpness for view in views]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[0] - sharpness[-1] > 0.5
    assert [view.score for view in views] == sorted((view.score for view in views), reverse=True)
    assert QualityGate().refusal(views[-1]) == "blurred"


@pytest.mark.parametrize(("gain", "offset"), [(0.4, 0), (0.5, 120), (1.0, 30)])
def test_sharpness_does_not_depend_on_light_and_contrast(gain: float, offset: float) -> None:
    image, face = astronaut()
    other = np.clip(image * gain + offset, 0, 255).astype(np.uint8)
    expected = measure_sharpness(image, face.landmarks)
    assert measure_sharpness(other, face.landmarks) == pytest.approx(expected, abs=0.1)


def test_sharpness_falls_with_resolution() -> None:
    image, face = astronaut()
    values = []
    for factor in (1.0, 0.5, 0.25):
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        values.append(measure_sharpness(small, (face.landmarks + 0.5) * np.float32(factor) - 0.5))
    assert values == sorted(values, reverse=True)
    assert values[0] > values[2] + 0.15


def test_the_constants_of_sharpness_hold_on_real_faces(shared_data) -> None:
    """Faces of FairFace as they are, and blurred by a sigma of 0.11 eye distances."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(shared_data / "fairface" / "val.parquet", columns=["image"]).slice(0, 60)
    # The crops are all cut alike; YuNet's landmarks are in the median here.
    landmarks = np.array([[39, 42], [87, 43], [63, 70], [43, 92], [85, 93]], dtype=np.float32)
    eyes = float(np.linalg.norm(landmarks[0] - landmarks[1]))
    sharp, blurred = [], []
    for content in rows.column("image").to_pylist():
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        sharp.append(measure_sharpness(image, landmarks))
        blurred.append(measure_sharpness(cv2.GaussianBlur(image, (0, 0), 0.11 * eyes), landmarks))
    assert np.median(sharp) > 0.75
    assert np.median(blurred) < 0.1
    assert np.mean(np.array(sharp) > np.array(blurred)) > 0.95


@given(st.floats(-200, 800), st.floats(-200, 600), st.floats(1, 300), st.floats(1, 300))
def test_visible_share_is_the_share_of_pixels(x: float, y: float, width: float, height: float) -> None:
    share = visible_share(np.array([x, y, x + width, y + height], dtype=np.float32), 640, 480)
    assert 0.0 <= share <= 1.0
    if x >= 0 and y >= 0 and x + width <= 640 and y + height <= 480:
        assert share == pytest.approx(1.0)
    if x + width <= 0 or x >= 640 or y + height <= 0 or y >= 480:
        assert share == 0.0


def test_half_a_face_is_half_visible_and_refused() -> None:
    image, face = astronaut()
    cut = np.ascontiguousarray(image[:, 223:])
    shifted = Detection(face.box - [223, 0, 223, 0], face.landmarks - np.float32([223, 0]), 0.9)
    quality = assess(cut, shifted)
    assert quality.visible == pytest.approx(0.5)
    assert QualityGate().refusal(quality) == "truncated"


def test_a_face_outside_the_image_is_assessed_as_useless() -> None:
    image, face = astronaut()
    quality = assess(image, Detection(face.box + 5000, face.landmarks + 5000, 0.9))
    assert (quality.visible, quality.sharpness, quality.score) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size_px": 31.0}, "small"),
        ({"visible": 0.5}, "truncated"),
        ({"sharpness": 0.05}, "blurred"),
        ({"yaw": -60.0}, "yaw"),
        ({"pitch": 50.0}, "pitch"),
        ({"roll": 170.0}, None),
        ({"size_px": 32.0}, None),
    ],
)
def test_the_gate_names_its_reason(change: dict[str, float], reason: str | None) -> None:
    assert QualityGate().refusal(replace(GOOD, **change)) == reason
    assert reason is None or reason in QualityGate.REASONS


def test_the_gate_follows_its_settings() -> None:
    strict = QualityGate(GateSettings(min_size_px=200.0))
    assert strict.refusal(GOOD) == "small"


@pytest.mark.parametrize("settings", [{"min_visible": 1.5}, {"max_yaw": -1}, {"min_size_px": 0}, {"min_sharp": 0.1}])
def test_settings_out_of_range_or_unknown_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, GateSettings)


@given(
    st.floats(1, 2000), st.floats(0, 1), st.floats(-90, 90), st.floats(-90, 90), st.floats(0, 1), st.floats(0.01, 0.5)
)
def test_the_score_is_bounded_and_falls_when_anything_gets_worse(
    size: float, sharpness: float, yaw: float, pitch: float, visible: float, step: float
) -> None:
    score = view_score(size, sharpness, HeadPose(yaw, pitch, 0), visible)
    assert 0.0 <= score <= 1.0
    worse = [
        view_score(size * (1 - step), sharpness, HeadPose(yaw, pitch, 0), visible),
        view_score(size, sharpness * (1 - step), HeadPose(yaw, pitch, 0), visible),
        view_score(size, sharpness, HeadPose(yaw + np.copysign(step, yaw), pitch, 0), visible),
        view_score(size, sharpness, HeadPose(yaw, pitch, 0), visible * (1 - step)),
    ]
    assert max(worse) <= score + 1e-9
