"""Splits in which every stratum of age, gender and ethnicity has its share, as far as whole numbers allow."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.data.schema import SPLITS

#: Age, gender, ethnicity.
Stratum = tuple[str, str, str]


def parse_sizes(text: str, available: int) -> tuple[int, int, int]:
    """Numbers of faces for training, validation and test.

    Args:
        text: three numbers of faces, "8000,1000,1000", or three shares, "0.8,0.1,0.1", that may leave faces unused.
        available: number of faces that there are.

    Raises:
        SettingsError: if they are not three, one comes to nothing, or they ask for more than there is.
    """
    try:
        asked = [float(part) for part in text.split(",")]
    except ValueError:
        asked = []
    if len(asked) != len(SPLITS) or not all(math.isfinite(part) and part > 0 for part in asked):
        raise SettingsError(f"splits {text!r} are not three numbers above 0, such as 8000,1000,1000 or 0.8,0.1,0.1")
    if sum(asked) <= 1 + 1e-9:
        ends = [round(available * sum(asked[: count + 1])) for count in range(len(asked))]
        sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    elif all(part.is_integer() for part in asked):
        sizes = [int(part) for part in asked]
    else:
        raise SettingsError(f"splits {text!r} are neither whole numbers nor shares that add up to at most 1")
    if sum(sizes) > available or min(sizes) < 1:
        raise SettingsError(
            f"splits {text} ask for {', '.join(map(str, sizes))} faces, and {available} are usable; give shares that "
            "suit, such as 0.8,0.1,0.1"
        )
    return sizes[0], sizes[1], sizes[2]


def balanced_splits(contents: Sequence[str], strata: Sequence[Stratum], sizes: Sequence[int]) -> list[str]:
    """The split of each face, "" for those that no split needs.

    Each split gets, of every age, of every gender within an age, and of every stratum, its exact share rounded up or
    down: a stratum with one or two members goes to as many splits. The result depends on the faces' contents and
    strata only, not on their order.

    Args:
        contents: (n,) different content hashes.
        strata: (n,) age, gender and ethnicity.
        sizes: of the splits, in the order of `SPLITS`; together at most n.
    """
    members: dict[Stratum, list[int]] = defaultdict(list)
    for index in sorted(range(len(contents)), key=lambda index: hashlib.sha256(contents[index].encode()).digest()):
        members[strata[index]].append(index)
    names = sorted(members)
    counts = stratum_counts(names, [len(members[name]) for name in names], [*sizes, len(contents) - sum(sizes)])
    chosen = [""] * len(contents)
    for name, row in zip(names, counts, strict=True):
        places = [split for split, count in zip([*SPLITS, ""], row, strict=True) for _ in range(count)]
        for index, split in zip(members[name], places, strict=True):
            chosen[index] = split
    return chosen


def stratum_counts(names: Sequence[Stratum], sizes: Sequence[int], totals: Sequence[int]) -> NDArray[np.int64]:
    """(s, k) how many of each stratum go to each split.

    Controlled rounding of the table sizes x totals / n: a flow through a network in which every age, gender within an
    age, and stratum may pass its share rounded up or down. Such a flow exists, because the exact shares are one, and a
    corner of the polytope has whole numbers. Prices drawn by hash single out one corner, whatever the solver's version.

    Args:
        names: (s,) different strata.
        sizes: (s,) members of each.
        totals: (k,) of the splits; they add up to the number of all members.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, kron

    share = np.outer(sizes, totals) / sum(sizes)
    groups = _groups(names)
    level = csr_array(kron(groups, eye_array(len(totals))))  # one row per group and split
    within = np.asarray(groups @ share).ravel()
    prices = [_price(name, split) for name in names for split in range(len(totals))]
    found = linprog(
        prices,
        A_ub=csr_array(np.vstack([level.toarray(), -level.toarray()])),
        b_ub=np.concatenate([_up(within), -_down(within)]),
        A_eq=csr_array(kron(eye_array(len(names)), np.ones((1, len(totals))))),
        b_eq=sizes,
        bounds=np.stack([_down(share.ravel()), _up(share.ravel())], axis=1),
        method="highs-ds",
    )
    assert found.success, found.message
    return np.rint(found.x).astype(np.int64).reshape(share.shape)


def _groups(names: Sequence[Stratum]) -> NDArray[np.float64]:
    """(g, s) 1 where a stratum belongs to a group: all, each age, each gender within an age."""
    groups = sorted({name[:depth] for name in names for depth in (0, 1, 2)})
    return np.array([[float(name[: len(group)] == group) for name in names] for group in groups])


def _price(name: Stratum, split: int) -> float:
    drawn = hashlib.sha256("\0".join([*name, str(split)]).encode()).digest()
    return int.from_bytes(drawn[:6], "big") / 2**48


def _up(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ceil(values - 1e-9)


def _down(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.floor(values + 1e-9)
