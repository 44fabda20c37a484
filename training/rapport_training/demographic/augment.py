"""Augmentation of faces: a jitter of the alignment itself, then light, blur and occlusion.

The geometric part changes the similarity transform before the one interpolation that alignment needs anyway, so a
jittered crop is as sharp as the robot's. What varies is what varies on a robot: landmarks are off by a few pixels,
the detector's working size differs, rooms are dark, tinted or noisy, cameras blur.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rapport_edge.alignment import CropTemplate, similarity_transform, warp
from rapport_edge.faces import ByteImage, FloatArray

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def augmented_crop(
    image: ByteImage, landmarks: FloatArray, template: CropTemplate, rng: np.random.Generator
) -> ByteImage:
    """One random view of a face, (size, size, 3) uint8 RGB; landmarks of NaN stand for "not detected"."""
    matrix = _jitter(_alignment(image, landmarks, template, rng), template.size, rng)
    # Training pictures end where the face ends; a robot sees the room there. Half of the views are mirrored at the
    # edge instead of black, so that the model relies on neither.
    border = cv2.BORDER_CONSTANT if rng.random() < 0.5 else cv2.BORDER_REFLECT_101
    crop = warp(image, matrix, template.size, border)
    crop = _photometric(crop, rng)
    if rng.random() < 0.2:
        crop = _degrade(crop, rng)
    if rng.random() < 0.3:
        crop = _erase(crop, rng)
    return np.ascontiguousarray(crop)


def resized_crop(
    image: ByteImage, landmarks: FloatArray, template: CropTemplate, rng: np.random.Generator
) -> ByteImage:
    """FLYP's augmentation: RandomResizedCrop(scale=(0.9, 1)) of the aligned face, in one interpolation."""
    size = template.size
    if np.isfinite(landmarks).all():
        matrix = similarity_transform(landmarks, template.landmarks())
    else:
        matrix = whole_picture_transform(image, size)
    width, height = _window(rng)
    left, top = rng.uniform(0.0, 1.0 - width), rng.uniform(0.0, 1.0 - height)
    # A pixel's centre is half a pixel inside: x' = (x + 0.5 - left * size) / width - 0.5.
    zoom = np.diag([1.0 / width, 1.0 / height])
    offset = zoom @ (0.5 - size * np.array([left, top])) - 0.5
    return warp(image, np.hstack([zoom @ matrix[:, :2], (zoom @ matrix[:, 2] + offset)[:, None]]), size)


def _window(rng: np.random.Generator) -> tuple[float, float]:
    """Width and height as shares of the side: area 0.9 to 1, aspect 3/4 to 4/3; after ten misfits the whole."""
    for _ in range(10):
        area, aspect = rng.uniform(0.9, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
        if width <= 1.0 and height <= 1.0:
            return float(width), float(height)
    return 1.0, 1.0


def whole_picture_transform(image: ByteImage, size: int) -> NDArray[np.float64]:
    """`rapport_edge.alignment.resize_whole` as a (2, 3) matrix, for faces that were not detected."""
    sx, sy = size / image.shape[1], size / image.shape[0]
    return np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])


def _alignment(
    image: ByteImage, landmarks: FloatArray, template: CropTemplate, rng: np.random.Generator
) -> NDArray[np.float64]:
    if not np.isfinite(landmarks).all():
        return whole_picture_transform(image, template.size)
    eye_distance = float(np.linalg.norm(landmarks[0] - landmarks[1]))
    noise = rng.normal(0.0, 0.02 * eye_distance, size=(5, 2))
    return similarity_transform((landmarks + noise).astype(np.float32), template.landmarks())


def _jitter(matrix: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rotates, scales, shifts and mirrors about the crop's centre."""
    angle = np.deg2rad(rng.normal(0.0, 6.0))
    scale = np.exp(rng.normal(0.0, 0.07))
    shift = rng.normal(0.0, 0.025, size=2) * size
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        linear[0] = -linear[0]
    centre = (size - 1) / 2
    offset = np.full(2, centre) - linear @ np.full(2, centre) + shift
    return np.hstack([linear @ matrix[:, :2], (linear @ matrix[:, 2] + offset)[:, None]])


def _photometric(crop: ByteImage, rng: np.random.Generator) -> ByteImage:
    """Brightness, contrast, saturation and tint as one affine map of colours; sometimes grey; a random gamma."""
    saturation = 0.0 if rng.random() < 0.1 else np.exp(rng.normal(0.0, 0.3))
    gain = np.exp(rng.normal(0.0, 0.2)) * np.exp(rng.normal(0.0, 0.06, size=3))
    matrix = saturation * np.eye(3) + (1.0 - saturation) * np.tile(_LUMA, (3, 1))
    matrix = gain[:, None] * matrix
    bias = 128.0 * (1.0 - gain) + rng.normal(0.0, 15.0)
    coloured = cv2.transform(crop, np.hstack([matrix, bias[:, None]]).astype(np.float32))
    gamma = np.exp(rng.normal(0.0, 0.2))
    table = (255.0 * (np.arange(256) / 255.0) ** gamma).astype(np.uint8)
    return np.asarray(cv2.LUT(coloured, table))


def _degrade(crop: ByteImage, rng: np.random.Generator) -> ByteImage:
    """A small, blurred or noisy camera picture."""
    size = crop.shape[0]
    kind = rng.integers(3)
    if kind == 0:
        small = int(size * rng.uniform(0.35, 0.8))
        crop = np.asarray(cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA))
        return np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR))
    if kind == 1:
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigmaX=float(rng.uniform(0.4, 1.4)) * size / 96))
    noisy = crop.astype(np.float32) + rng.normal(0.0, rng.uniform(3.0, 15.0), size=crop.shape).astype(np.float32)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _erase(crop: ByteImage, rng: np.random.Generator) -> ByteImage:
    """Hides a rectangle behind one colour (Zhong et al. 2020): hands, masks, hats."""
    size = crop.shape[0]
    height, width = (rng.uniform(0.1, 0.45, size=2) * size).astype(int)
    top, left = rng.integers(0, size - height), rng.integers(0, size - width)
    crop[top : top + height, left : left + width] = rng.integers(0, 256, size=3)
    return crop
