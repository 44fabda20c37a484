"""Table I of the paper as data.

Source: H. Rahimi, M. Abrini, M. Khoramshahi and M. Chetouani, "Demographic User Modeling for Social Robotics with
Multimodal Pre-trained Models", Table I (mean of five seeds; no spread is printed there).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SOURCE: Final = (
    "Rahimi et al., Demographic User Modeling for Social Robotics with Multimodal Pre-trained Models, Table I"
)

METRICS: Final = ("accuracy", "recall", "precision", "f1")

_COLUMNS: Final = (
    ("CLIP", "out of the box"),
    ("FaRL", "out of the box"),
    ("CLIP", "fine-tuned on GenUser"),
    ("FaRL", "fine-tuned on GenUser"),
    ("CLIP", "fine-tuned on FairUser"),
    ("FaRL", "fine-tuned on FairUser"),
)
_ROWS: Final[Mapping[tuple[str, str], tuple[float, ...]]] = {
    ("GenUser", "accuracy"): (0.161, 0.133, 0.668, 0.659, 0.145, 0.206),
    ("GenUser", "recall"): (0.160, 0.132, 0.667, 0.658, 0.144, 0.205),
    ("GenUser", "precision"): (0.179, 0.138, 0.680, 0.662, 0.151, 0.218),
    ("GenUser", "f1"): (0.162, 0.129, 0.668, 0.656, 0.142, 0.203),
    ("FairUser", "accuracy"): (0.345, 0.236, 0.291, 0.269, 0.493, 0.516),
    ("FairUser", "recall"): (0.345, 0.235, 0.291, 0.269, 0.492, 0.516),
    ("FairUser", "precision"): (0.350, 0.239, 0.297, 0.272, 0.505, 0.530),
    ("FairUser", "f1"): (0.342, 0.234, 0.289, 0.267, 0.491, 0.514),
}

#: By (test set, metric, model, variant's title).
FIGURES: Final[Mapping[tuple[str, str, str, str], float]] = {
    (*row, *column): value for row, values in _ROWS.items() for column, value in zip(_COLUMNS, values, strict=True)
}

#: Pairs in train, val and test, by data set (Section III-A).
SIZES: Final[Mapping[str, tuple[int, int, int]]] = {
    "GenUser": (8_000, 1_000, 1_000),
    "FairUser": (80_000, 10_000, 10_000),
}

#: The query of Table II.
QUERY: Final = (
    "Image of a 17-year-old black female with freckles, wavy auburn hair in a ponytail, and green eyes, looking "
    "thoughtful with a slight smile."
)
