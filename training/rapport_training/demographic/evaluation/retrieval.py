"""User retrieval (demographic user modelling paper, Section IV-C): for each profile, the face that fits it best.

The paper leaves open which pictures a query searches and what is right when two people have the same profile. Both are
settings here. Every pair of the test set asks once: its caption is the query, its picture the ground truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from rapport_edge.faces import FloatArray

IntArray = NDArray[np.int64]

#: Similarities held in memory at the same time: 64 MB of float32.
_SIMILARITIES = 1 << 24


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How retrieval is asked and judged.

    Attributes:
        pool: "whole", every query searches the whole test set; or a number, the test set is shuffled by `seed` and cut
            into pools of this many pairs, and a query searches its own pool. What is left over is a smaller last pool,
            as a data loader that drops nothing leaves it; `Figures.chance` takes it into account.
        match: what is right. "image": the picture of the query's own pair. "profile": any picture whose caption equals
            the query.
        classes: over what recall, precision and F1 are averaged. "profile": distinct captions. "image": distinct
            pictures. "place": positions in the pool, as when a program compares arg max with 0, 1, 2, ... batch after
            batch and hands all of it to one call. By default the profiles for `match` "profile", else the pictures.
        seed: of the shuffle.
    """

    pool: Annotated[int, msgspec.Meta(ge=2)] | Literal["whole"] = "whole"
    match: Literal["image", "profile"] = "profile"
    classes: Literal["profile", "image", "place"] | None = None
    seed: int = 0

    @property
    def averaged_over(self) -> str:
        """`classes` with the default put in."""
        return self.classes or self.match

    @property
    def title(self) -> str:
        """For headings: "whole test set, same profile"."""
        pool = "whole test set" if self.pool == "whole" else f"pools of {self.pool}"
        right = "exact image" if self.match == "image" else "same profile"
        usual = self.averaged_over == self.match
        return f"{pool}, {right}" + ("" if usual else f", averaged over {self.averaged_over}s")


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came out; all but the counts are 0 to 1.

    Attributes:
        accuracy: share of queries whose best picture is right.
        recall, precision, f1: macro averages over the classes that occur as truth or as answer; a class that is never
            answered has precision 0 and F1 0.
        chance: expected accuracy of an arbitrary ranking.
        ceiling: highest accuracy that is possible where equal captions get equal answers. 126 captions cannot find
            more than 126 exact pictures in one pool.
        queries: pairs of the test set.
        classes: that the averages are over.
    """

    accuracy: float
    recall: float
    precision: float
    f1: float
    chance: float
    ceiling: float
    queries: int
    classes: int


@dataclass(frozen=True)
class Pairs:
    """The test set as embeddings.

    Attributes:
        images: (n, d) unit vectors.
        captions: (m, d) unit vectors of the distinct captions.
        caption_of: (n,) which caption belongs to each picture.
        image_of: (n,) number of the picture: equal for equal pictures, so that a picture that is there twice counts
            as itself.
    """

    images: FloatArray
    captions: FloatArray
    caption_of: IntArray
    image_of: IntArray

    @classmethod
    def of(cls, images: FloatArray, captions: FloatArray, texts: NDArray[np.str_], content: NDArray[np.str_]) -> Pairs:
        """Puts the pairs into an order of their own, so that no figure depends on the order of the file.

        Args:
            images: (n, d) unit vectors.
            captions: (m, d) unit vectors of `np.unique(texts)`.
            texts: (n,) the captions.
            content: (n,) names the pictures, such as their hashes.
        """
        order = np.lexsort((texts, content))
        caption_of = np.unique(texts, return_inverse=True)[1].astype(np.int64)
        image_of = np.unique(content, return_inverse=True)[1].astype(np.int64)
        return cls(np.ascontiguousarray(images[order]), captions, caption_of[order], image_of[order])

    def __len__(self) -> int:
        return len(self.images)


def retrieve(pairs: Pairs, setting: Setting) -> Figures:
    """Section IV-C under one setting. Memory grows with the number of pairs, not with its square.

    Among equally similar pictures the first in the order of `Pairs.of` is the answer: the one with the lowest hash.
    """
    answer = np.empty(len(pairs), dtype=np.int64)
    place = np.empty(len(pairs), dtype=np.int64)
    chance = ceiling = 0.0
    for pool in _pools(len(pairs), setting):
        answer[pool] = pool[_best_pictures(pairs, pool)]
        place[pool] = np.arange(len(pool))
        chance += _chance(pairs, pool, setting)
        ceiling += _ceiling(pairs, pool, setting)
    queries = len(pairs)
    identity = pairs.caption_of if setting.match == "profile" else pairs.image_of
    classes = {"profile": pairs.caption_of, "image": pairs.image_of, "place": place}[setting.averaged_over]
    precision, recall, f1, _ = precision_recall_fscore_support(
        classes, classes[answer], average="macro", zero_division=0
    )
    return Figures(
        accuracy=float((identity[answer] == identity).mean()),
        recall=float(recall),
        precision=float(precision),
        f1=float(f1),
        chance=chance / queries,
        ceiling=ceiling / queries,
        queries=queries,
        classes=len(np.union1d(classes, classes[answer])),
    )


def _pools(count: int, setting: Setting) -> Iterator[IntArray]:
    """Rows of each pool; every row is in exactly one."""
    if setting.pool == "whole":
        yield np.arange(count)
        return
    shuffled = np.random.default_rng(setting.seed).permutation(count)
    for start in range(0, count, setting.pool):
        yield shuffled[start : start + setting.pool]


def _best_pictures(pairs: Pairs, pool: IntArray) -> IntArray:
    """For each pair of the pool, the position in the pool of the picture that is most like its caption."""
    by_hash = np.argsort(pool)  # rows are in the order of the hashes, and arg max takes the first of equals
    asked, query_of = np.unique(pairs.caption_of[pool], return_inverse=True)
    pictures = np.ascontiguousarray(pairs.images[pool[by_hash]].T)
    best = np.empty(len(asked), dtype=np.int64)
    step = max(1, _SIMILARITIES // len(pool))
    for start in range(0, len(asked), step):
        part = slice(start, start + step)
        best[part] = (pairs.captions[asked[part]] @ pictures).argmax(axis=1)
    return by_hash[best[query_of]]


def _chance(pairs: Pairs, pool: IntArray, setting: Setting) -> float:
    """Queries of the pool that an arbitrary ranking answers rightly, on average."""
    identity = (pairs.caption_of if setting.match == "profile" else pairs.image_of)[pool]
    counts = np.unique(identity, return_counts=True)[1]
    return float((counts.astype(np.float64) ** 2).sum() / len(pool))


def _ceiling(pairs: Pairs, pool: IntArray, setting: Setting) -> float:
    """Queries of the pool that can be right at once: a caption has one answer, which is right for its own picture."""
    if setting.match == "profile":
        return float(len(pool))
    both = np.stack([pairs.caption_of[pool], pairs.image_of[pool]])
    couples, counts = np.unique(both, axis=1, return_counts=True)
    best = np.zeros(int(couples[0].max()) + 1, dtype=np.int64)
    np.maximum.at(best, couples[0], counts)
    return float(best.sum())
