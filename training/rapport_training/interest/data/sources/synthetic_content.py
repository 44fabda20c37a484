"""Little pictures and titles that show a style."""

from __future__ import annotations

import colorsys
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE: Final = 48
_SHAPES: Final = ("circle", "square", "triangle", "stripes", "ring", "cross")
_HUES: Final = 8
_WORDS_PER_STYLE: Final = 10
_FILLERS: Final = 40
_SYLLABLES: Final = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


class StyleBook:
    """What each style looks like and which words speak of it.

    A style has a shape and a hue. Background, place, size and the noise of the camera vary within it.

    Args:
        styles: how many, at most 48.
        seed: same seed, same styles.
    """

    def __init__(self, styles: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 3])
        looks = rng.permutation(len(_SHAPES) * _HUES)[:styles]
        self._shape, self._hue = looks % len(_SHAPES), looks // len(_SHAPES)
        words = _words(styles * _WORDS_PER_STYLE + _FILLERS, rng)
        self._fillers = words[:_FILLERS]
        self._words = np.array(words[_FILLERS:]).reshape(styles, _WORDS_PER_STYLE)

    def title(self, style: int, rng: np.random.Generator) -> str:
        """Two words of the style among two that any title may have."""
        own = rng.choice(self._words[style], 2, replace=False)
        words = [*own, *rng.choice(self._fillers, 2, replace=False)]
        return " ".join(words[place] for place in rng.permutation(len(words))).capitalize()

    def picture(self, style: int, rng: np.random.Generator) -> bytes:
        """A JPEG of 48 x 48."""
        hue = (self._hue[style] + rng.uniform(-0.2, 0.2)) / _HUES
        colour = np.array(colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.7, 1), rng.uniform(0.7, 1)))
        background = rng.uniform(0.1, 0.9) + rng.uniform(-0.08, 0.08, 3)
        mask = _shape(_SHAPES[self._shape[style]], rng)[..., None]
        pixels = mask * colour + (1 - mask) * background + rng.normal(0, 0.03, (SIZE, SIZE, 3))
        encoded = cv2.imencode(".jpg", (255 * pixels.clip(0, 1)).astype(np.uint8)[..., ::-1])[1]
        return encoded.tobytes()


def _words(count: int, rng: np.random.Generator) -> list[str]:
    """Different words of three syllables."""
    numbers = rng.choice(len(_SYLLABLES) ** 3, count, replace=False)
    base = len(_SYLLABLES)
    return [_SYLLABLES[n % base] + _SYLLABLES[n // base % base] + _SYLLABLES[n // base**2] for n in numbers]


def _shape(name: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """(SIZE, SIZE) in [0, 1]: where the shape is."""
    radius = rng.uniform(0.25, 0.42) * SIZE
    x, y = np.array([SIZE / 2, SIZE / 2]) + rng.uniform(-5, 5, 2)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    right, down = columns - x, rows - y
    distance = np.hypot(right, down)
    inside = {
        "circle": distance < radius,
        "square": np.maximum(abs(right), abs(down)) < 0.85 * radius,
        "triangle": (down < 0.7 * radius) & (down > 2 * abs(right) - radius),
        "stripes": (rows + columns + radius) % 12 < 6,
        "ring": (distance < radius) & (distance > 0.6 * radius),
        "cross": (np.minimum(abs(right), abs(down)) < 0.25 * radius) & (np.maximum(abs(right), abs(down)) < radius),
    }
    return inside[name].astype(np.float64)
