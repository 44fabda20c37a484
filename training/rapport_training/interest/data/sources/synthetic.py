"""Logs whose truth is known.

"content": every item has a style, which its picture and its title show; every user likes two styles. Items come and go,
so that most events meet an item with few events or none before, and the test period has many new ones. Ids alone can
tell little there.

"noise": every user likes two of the items' categories; all items are there from the start and met often, so that
histories tell which. Pictures and titles are drawn from styles that have nothing to do with them.

Categories say nothing in "content", and ages of users say nothing in either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.sources.synthetic_content import StyleBook

#: Looks of items, and what clicks follow in "content".
STYLES: Final = 24
#: Of items. In "noise" clicks follow them: were it groups that nothing names, some trainings would find them all and
#: others not, and differ by more than what noise can cost.
CATEGORIES: Final = 20
#: Where a caller gives none. In "noise", ids must be learnable, and samples enough to tell differences of .002.
SIZES: Final = {
    "content": {"items": 6_000, "users": 4_000, "events": 80_000},
    "noise": {"items": 400, "users": 5_000, "events": 200_000},
}
_START: Final = 1_704_067_200  # 2024-01-01
_DAY: Final = 86_400
_DAYS: Final = 60
#: Days for which an item is shown, on average.
_LIFE: Final = 12.0
#: Share of the items that are there on the first day; the others appear evenly over all days.
_EARLY: Final = 0.15
_SHOWN_FOR_TASTE: Final = 0.5
_CLICK_LIKED: Final = 0.85
_CLICK_OTHER: Final = 0.1
_PURCHASE: Final = 0.2
_NO_PICTURE: Final = 0.03
_NO_TITLE: Final = 0.03


@dataclass(frozen=True)
class SyntheticSettings:
    """How large a log is.

    Attributes:
        kind: see the module.
        items, users, events: counts. 0: `SIZES`. Events are at most so many: a user who would be shown an item twice is
            shown it once.
        seed: same seed, same log.
    """

    kind: Literal["content", "noise"] = "content"
    items: int = 0
    users: int = 0
    events: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, count in SIZES[self.kind].items():
            object.__setattr__(self, name, getattr(self, name) or count)

    @property
    def clusters(self) -> int:
        """Of which every user likes two: styles, or categories."""
        return STYLES if self.kind == "content" else CATEGORIES


@dataclass(frozen=True)
class Truth:
    """What a log hides.

    Attributes:
        cluster: (items,) that users' tastes are about.
        style: (items,) that pictures and titles show; equal to `cluster` for "content".
        taste: (users, 2) clusters.
        created: (items,) Unix seconds, ascending.
    """

    cluster: NDArray[np.int64]
    style: NDArray[np.int64]
    taste: NDArray[np.int64]
    created: NDArray[np.int64]


def synthetic(settings: SyntheticSettings) -> tuple[About, Callable[[LogWriter], None]]:
    """What describes the log, and what fills it.

    Raises:
        SettingsError: if there are too few items for the styles.
    """
    if settings.items < 2 * STYLES:
        raise SettingsError(f"a synthetic log needs at least {2 * STYLES} items")
    about = About(
        f"synthetic {settings.kind}",
        f"made with seed {settings.seed}: {settings.items} items, {settings.users} users, {settings.events} events",
        "none needed: made by a program",
    )
    return about, lambda writer: _fill(settings, writer)


def truth_of(settings: SyntheticSettings) -> Truth:
    """What the log of these settings hides."""
    rng = np.random.default_rng([settings.seed, 0])
    # Every cluster has an item from the first day on.
    clusters = settings.clusters
    cluster = np.concatenate([np.arange(clusters), rng.integers(0, clusters, settings.items - clusters)])
    style = cluster if settings.kind == "content" else rng.integers(0, STYLES, settings.items)
    first = np.array([rng.choice(settings.clusters, 2, replace=False) for _ in range(settings.users)])
    late = np.sort(rng.uniform(0, _DAYS * _DAY, settings.items)).astype(np.int64)
    early = np.arange(settings.items) < max(STYLES, _EARLY * settings.items)
    if settings.kind == "noise":
        early[:] = True
    return Truth(cluster, style, first, _START + np.where(early, 0, late))


def _fill(settings: SyntheticSettings, writer: LogWriter) -> None:
    truth = truth_of(settings)
    book = StyleBook(STYLES, settings.seed)
    rng = np.random.default_rng([settings.seed, 1])
    _add_items(settings, truth, book, rng, writer)
    writer.add_users(
        id=[f"u{user}" for user in range(settings.users)],
        attributes=[[("age", [f"{10 * decade}s"])] for decade in rng.integers(1, 8, settings.users)],
    )
    _add_events(settings, truth, book, writer)


def _add_items(
    settings: SyntheticSettings, truth: Truth, book: StyleBook, rng: np.random.Generator, writer: LogWriter
) -> None:
    has_picture = rng.random(len(truth.style)) >= _NO_PICTURE
    has_title = rng.random(len(truth.style)) >= _NO_TITLE
    titles = [book.title(style, rng) if has else "" for style, has in zip(truth.style, has_title, strict=True)]
    pictures = [book.picture(style, rng) if has else None for style, has in zip(truth.style, has_picture, strict=True)]
    categories = truth.cluster if settings.kind == "noise" else rng.integers(0, CATEGORIES, settings.items)
    writer.add_items(
        id=[f"i{item}" for item in range(settings.items)],
        title=titles,
        image=pictures,
        category=[f"c{category}" for category in categories],
        created=truth.created,
    )


def _add_events(settings: SyntheticSettings, truth: Truth, book: StyleBook, writer: LogWriter) -> None:
    rng = np.random.default_rng([settings.seed, 2])
    user = rng.integers(0, settings.users, settings.events)
    time = np.sort(_START + rng.integers(0, _DAYS * _DAY, settings.events))
    item = _shown(settings, truth, user, time, rng)
    _, once = np.unique(user * settings.items + item, return_index=True)
    once.sort()
    user, time, item = user[once], time[once], item[once]
    liked = (truth.taste[user] == truth.cluster[item][:, None]).any(axis=1)
    label = rng.random(len(user)) < np.where(liked, _CLICK_LIKED, _CLICK_OTHER)
    bought = label & liked & (rng.random(len(user)) < _PURCHASE)
    writer.add_events(
        user=[f"u{one}" for one in user],
        item=[f"i{one}" for one in item],
        time=time,
        kind=np.where(bought, "purchase", np.where(label, "click", "impression")).tolist(),
        label=label.astype(np.float32),
        query_image=[
            book.picture(style, rng) if one else None for style, one in zip(truth.style[item], bought, strict=True)
        ],
    )


def _shown(
    settings: SyntheticSettings,
    truth: Truth,
    user: NDArray[np.int64],
    time: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """(events,) items: half from what the user likes, half from all; recent ones where items come and go."""
    wanted = truth.taste[user, rng.integers(0, 2, len(user))]
    wanted[rng.random(len(user)) >= _SHOWN_FOR_TASTE] = -1
    shown = np.zeros(len(user), np.int64)
    for cluster in range(-1, settings.clusters):
        rows = np.flatnonzero(wanted == cluster)
        pool = np.arange(settings.items) if cluster < 0 else np.flatnonzero(truth.cluster == cluster)
        age = rng.exponential(_LIFE * _DAY, len(rows))
        newest = np.searchsorted(truth.created[pool], time[rows] - age, side="right") - 1
        # What would be older than the first day is any item of the first day.
        first_day = np.searchsorted(truth.created[pool], _START, side="right")
        shown[rows] = pool[np.where(newest < first_day, rng.integers(0, first_day, len(rows)), newest)]
    return shown
