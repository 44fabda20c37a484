"""Views of a face recogniser: of good views only, and not with every frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import SIZE, write_tiny, write_tiny_recogniser

from rapport_edge.engines import EngineSettings
from rapport_edge.errors import BundleError
from rapport_edge.faces import Detection, FaceQuality, Track
from rapport_edge.pipeline import FrameResult, ObservedFace, Recogniser, create_recogniser

CPU = EngineSettings(name="onnxruntime-cpu")
IMAGE = np.random.default_rng(0).integers(0, 256, (SIZE * 4, SIZE * 4, 3), dtype=np.uint8)
GOOD = FaceQuality(size_px=80, sharpness=1.0, yaw=0.0, pitch=0.0, roll=0.0, visible=1.0, score=1.0)


@pytest.fixture
def recogniser(tmp_path: Path) -> Recogniser:
    return create_recogniser(write_tiny_recogniser(tmp_path / "recogniser").path, CPU, interval_s=1.0)


def frame(stamp: float, *faces: ObservedFace, removed: tuple[str, ...] = ()) -> FrameResult:
    return FrameResult(stamp, list(faces), {}, list(removed))


def face(track_id: str, shift: float = 0.0) -> ObservedFace:
    points = np.array([[40, 40], [70, 40], [55, 60], [45, 75], [68, 75]], np.float32) + shift
    box = np.array([30, 20, 80, 90], np.float32) + shift
    return ObservedFace(Track(track_id, Detection(box, points, 0.9), True, 3, 0), quality=GOOD)


def test_one_view_per_interval_and_track(recogniser: Recogniser) -> None:
    first = recogniser.views(IMAGE, frame(10.0, face("a"), face("b", shift=5.0)))
    assert set(first) == {"a", "b"}
    assert all(np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5) for row in first.values())
    assert recogniser.views(IMAGE, frame(10.5, face("a"))) == {}
    assert set(recogniser.views(IMAGE, frame(11.0, face("a")))) == {"a"}


def test_poor_views_and_predicted_places_are_left_out(recogniser: Recogniser) -> None:
    refused, predicted = replace(face("a"), gate_refusal="blurred"), replace(face("b"), quality=None)
    assert recogniser.views(IMAGE, frame(10.0, refused, predicted)) == {}


def test_a_track_that_ended_and_a_clock_set_back_make_a_view_due(recogniser: Recogniser) -> None:
    recogniser.views(IMAGE, frame(10.0, face("a")))
    recogniser.views(IMAGE, frame(10.1, removed=("a",)))
    assert set(recogniser.views(IMAGE, frame(10.2, face("a")))) == {"a"}
    assert set(recogniser.views(IMAGE, frame(5.0, face("a")))) == {"a"}


def test_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="demographic-encoder, not a face-recognizer"):
        create_recogniser(write_tiny(tmp_path / "encoder").path, CPU, interval_s=1.0)
