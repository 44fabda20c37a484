"""Augmentation: the same view for the same seed, and never anything but a picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.alignment import CropTemplate, resize_whole, warp
from rapport_training.demographic.augment import augmented_crop, whole_picture_transform

TEMPLATE = CropTemplate(size=48, scale=1.05, shift_y=-0.1)


def picture() -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:160, 150:310])


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_view_is_a_function_of_its_seed(seed: int, found: bool) -> None:
    landmarks = np.array([[55, 100], [98, 104], [76, 125], [56, 140], [92, 142]], dtype=np.float32)
    if not found:
        landmarks = np.full((5, 2), np.nan, dtype=np.float32)
    first, second = (augmented_crop(picture(), landmarks, TEMPLATE, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == (48, 48, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


def test_the_whole_picture_is_squeezed_as_in_evaluation() -> None:
    image = picture()
    ours = warp(image, whole_picture_transform(image, 160), 160)
    np.testing.assert_allclose(ours.astype(int), resize_whole(image, 160).astype(int), atol=2)
    small = warp(image, whole_picture_transform(image, 48), 48)
    difference = np.abs(small.astype(int) - resize_whole(image, 48).astype(int)).mean()
    assert difference < 4.0
