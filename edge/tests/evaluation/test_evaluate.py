"""`rapport-edge evaluate` from the command line to the report."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data as skimage_data
from tiny_bundle import edit_manifest

from rapport_edge.alignment import CropTemplate, align
from rapport_edge.bundle import Bundle
from rapport_edge.cli import main
from rapport_edge.detection import DetectorSettings, create_detector
from rapport_edge.evaluation.cropping import crop_labelled_face, labelled_detection
from rapport_edge.evaluation.report import Report
from rapport_edge.faces import ByteImage, Detection

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def _face() -> ByteImage:
    return np.ascontiguousarray(skimage_data.astronaut()[0:256, 96:352])


def _jpeg(image: ByteImage) -> bytes:
    return bytes(cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Four faces, a plain wall where nothing can be detected, and half a JPEG."""
    face, wall = _jpeg(_face()), _jpeg(np.full((90, 80, 3), 128, dtype=np.uint8))
    table = pa.table(
        {
            "image": [face, wall, face[: len(face) // 2], face, face, face],
            "age": ["30-39", "30-39", "0-2", "03-Sep", "20-29", "30-39"],
            "gender": ["Female", "Female", "Male", "Male", "female", "Female"],
        }
    )
    path = tmp_path / "faces.parquet"
    pq.write_table(table, path)
    return path


def _evaluate(bundle: Bundle, faces: Path, *more: str) -> tuple[int, str]:
    report = faces.with_name("report.json")
    arguments = ["evaluate", "--bundle", str(bundle.path), "--faces", str(faces), "--json", str(report), *more]
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_measures_through_the_robots_code(tiny_bundle: Bundle, faces: Path) -> None:
    code, output = _evaluate(tiny_bundle, faces, "--threads", "2")
    assert code == 0, output
    report = msgspec.json.decode(faces.with_name("report.json").read_bytes(), type=Report)
    assert (report.n, report.missed, report.unreadable) == (5, 1, [2])
    assert report.digest == tiny_bundle.digest
    assert report.ece == max(report.gender_ece or 0, report.age_ece or 0)
    assert {column: sum(group.n for group in groups.values()) for column, groups in report.groups.items()} == {
        "gender": 5,
        "age": 5,
    }
    assert "tiny-random 0.0.1 on 5 faces, 1 missed, 1 unreadable" in output
    assert sorted(entry.name for entry in faces.parent.iterdir()) == ["faces.parquet", "report.json", "tiny"]


def test_limit_stops_early(tiny_bundle: Bundle, faces: Path) -> None:
    assert _evaluate(tiny_bundle, faces, "--limit", "2")[0] == 0
    assert json.loads(faces.with_name("report.json").read_bytes())["n"] == 2


def test_bad_input_is_said_in_one_line(tiny_bundle: Bundle, faces: Path, tmp_path: Path) -> None:
    absent = faces.with_name("absent.parquet")
    assert _evaluate(tiny_bundle, absent) == (2, f"Error: there is no file {absent}\n")
    code, output = _evaluate(tiny_bundle, faces, "--json", str(tmp_path / "no" / "folder.json"))
    assert code == 2
    assert "cannot write the report" in output
    code, output = _evaluate(tiny_bundle, faces, "--detector", "absent.onnx")
    assert code == 2
    assert "no YuNet model at 'absent.onnx'" in output
    edit_manifest(tiny_bundle.path, format_version=9)
    code, output = _evaluate(tiny_bundle, faces)
    assert code == 2
    assert "format version 9 is unknown" in output
    assert not faces.with_name("report.json").exists()


def test_crops_are_those_of_the_pipeline() -> None:
    detector, template = create_detector(DetectorSettings()), CropTemplate(64)
    image = _face()
    png = bytes(cv2.imencode(".png", image[:, :, ::-1])[1])
    result = crop_labelled_face(png, detector, template)
    assert not result.missed
    assert result.crop is not None
    assert np.array_equal(result.crop, align(image, detector.detect(image)[0].landmarks, template))


def test_the_labelled_face_is_central_and_large() -> None:
    def found(x: float, y: float, side: float) -> Detection:
        box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], dtype=np.float32)
        return Detection(box, np.zeros((5, 2), dtype=np.float32), 0.9)

    image = np.zeros((100, 100, 3), dtype=np.uint8)
    middle, aside, tiny = found(55, 50, 40), found(20, 50, 50), found(50, 50, 10)
    assert labelled_detection([aside, tiny, middle], image) is middle
    assert labelled_detection([], image) is None
