"""Alignment: the similarity transform is exact on similar shapes, and a crop shows the same face at any distance."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.alignment import ARCFACE_112, CropTemplate, align, resize_whole, similarity_transform

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20.0)
shifts = st.floats(-500.0, 500.0)


@given(angles, scales, shifts, shifts)
def test_a_similar_shape_is_mapped_exactly(angle: float, scale: float, dx: float, dy: float) -> None:
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = ARCFACE_112.astype(np.float64)
    target = source @ rotation.T + [dx, dy]
    matrix = similarity_transform(source, target)
    np.testing.assert_allclose(matrix, np.column_stack([rotation, [dx, dy]]), atol=1e-6 * max(1.0, scale) * 500)


@given(st.lists(st.tuples(shifts, shifts), min_size=5, max_size=5, unique=True))
def test_no_other_similarity_fits_better(points: list[tuple[float, float]]) -> None:
    source = np.array(points)
    if np.ptp(source, axis=0).max() < 1.0:
        return
    target = CropTemplate(112).landmarks().astype(np.float64)
    matrix = similarity_transform(source, target)

    def error(m: np.ndarray) -> float:
        return float(((source @ m[:, :2].T + m[:, 2] - target) ** 2).sum())

    best = error(matrix)
    for step in (np.eye(2), np.array([[0, -1], [1, 0]])):
        for size in (1e-3, -1e-3):
            changed = matrix.copy()
            changed[:, :2] += size * step
            changed[:, 2] -= size * step @ source.mean(axis=0)
            assert error(changed) >= best - 1e-6 * max(1.0, best)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), np.inf)])
def test_points_without_a_shape_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        similarity_transform(points, ARCFACE_112)


def test_scale_1_is_arcfaces_crop() -> None:
    np.testing.assert_allclose(CropTemplate(112).landmarks(), ARCFACE_112, atol=1e-4)
    np.testing.assert_allclose(CropTemplate(224).landmarks(), (ARCFACE_112 + 0.5) * 2 - 0.5, atol=1e-3)


def astronaut() -> tuple[np.ndarray, np.ndarray]:
    from skimage import data

    landmarks = np.array([[205, 103], [248, 106], [226, 127], [205, 146], [242, 149]], dtype=np.float32)
    return np.ascontiguousarray(data.astronaut()), landmarks


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_near_face_gives_the_crop_of_a_far_one(factor: int) -> None:
    image, landmarks = astronaut()
    template = CropTemplate(48, 1.0)
    far = align(image, landmarks, template)
    large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    near = align(large, (landmarks + 0.5) * factor - 0.5, template)
    assert np.abs(near.astype(int) - far.astype(int)).mean() < 6.0


def test_a_face_at_the_border_is_padded_with_black() -> None:
    image, landmarks = astronaut()
    outside = align(image, landmarks - [230, 100], CropTemplate(64, 0.8))
    assert outside.shape == (64, 64, 3)
    assert (outside[:10, :10] == 0).all()


def test_a_whole_picture_becomes_a_crop_of_the_size() -> None:
    assert resize_whole(astronaut()[0][:100, :37], 96).shape == (96, 96, 3)
