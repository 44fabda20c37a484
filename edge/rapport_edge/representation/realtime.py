"""Real-time inference: a new item is embedded when it appears, is usable at once and reaches the table with a window.

The paper's RIM (Section 3.5). An item that was put is on the disk; if the process dies before the window is published,
the next one publishes it. Windows are also messages for other centres, such as a fleet's: `forward` delivers them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from rapport_edge.representation.contract import Encoder, RepresentationCentre, check_same, source_hash
from rapport_edge.representation.embedded import EmbeddedCentre
from rapport_edge.representation.errors import CentreError


class NewItem(NamedTuple):
    """What an encoder needs of an item: an encoded picture or None, and a title or ""."""

    item_id: str
    title: str = ""
    image: bytes | None = None

    @property
    def source(self) -> str:
        """Hash of title and picture."""
        return source_hash(self.title, self.image)


class RealTimeInference:
    """Embeds what is new and publishes in windows. Threads may share it.

    Args:
        centre: open for writing.
        encoder: that whose vectors the centre holds.
        window_items: publish after so many new items.
        window_seconds: or so long after the first of them.
        clock: seconds that never go back.

    Raises:
        OtherEncoderError: the centre holds another encoder's vectors.
        CentreError: or ones of another dimension.
    """

    def __init__(
        self,
        centre: RepresentationCentre,
        encoder: Encoder,
        *,
        window_items: int = 1000,
        window_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_encoder(centre, encoder)
        self._centre, self._encoder, self._clock = centre, encoder, clock
        self._items, self._seconds = window_items, window_seconds
        self._lock = threading.Lock()
        self._waiting = centre.counts().pending
        self._since = clock()

    def add(self, items: Sequence[NewItem]) -> int:
        """Embeds those items that are new or have another title or picture; they are usable when this returns.

        Args:
            items: of distinct ids.

        Returns:
            How many were embedded.

        Raises:
            CentreError: ids or vectors are not what a centre takes, or it cannot be written; none was added then.
        """
        with self._lock:
            known = self._centre.sources([item.item_id for item in items])
            new = [item for item, source in zip(items, known, strict=True) if item.source != source]
            if new:
                ids, sources = [item.item_id for item in new], [item.source for item in new]
                vectors = self._encoder.embed([item.title for item in new], [item.image for item in new])
                self._centre.put(ids, vectors, sources)
                self._since = self._since if self._waiting else self._clock()
                self._waiting += len(new)
            return len(new)

    def publish_due(self) -> int | None:
        """Publishes if a window is full or old enough, and returns the version; to be called now and then."""
        with self._lock:
            due = self._waiting >= self._items or self._clock() - self._since >= self._seconds
            if not self._waiting or not due:
                return None
            version = self._centre.publish()
            self._waiting = 0
            return version


def _check_encoder(centre: RepresentationCentre, encoder: Encoder) -> None:
    layout = msgspec.structs.replace(centre.format, encoder=encoder.digest, dimension=encoder.dimension)
    check_same("the centre", centre.format, encoder.digest, layout)


def forward(source: EmbeddedCentre, target: RepresentationCentre, consumer: str) -> int:
    """Delivers the windows that were closed since the last time to another centre of the same encoder.

    Items travel in batches of some thousand, whatever the number of windows, so that a consumer that has nothing yet
    takes in a centre of many small windows at once. If the process dies in between, a window is delivered again: what
    is put twice is there once, so each window takes effect exactly once.

    Args:
        source: keeps how far each consumer is.
        target: such as a fleet's Redis server.
        consumer: the target's name, which stays.

    Returns:
        How many windows were delivered.

    Raises:
        CentreError: the target is another encoder's, or one of them cannot be written.
    """
    if (source.encoder, source.dimension) != (target.encoder, target.dimension):
        raise CentreError(
            f"{consumer} holds {target.dimension} values of encoder {target.encoder}, {source.folder} "
            f"{source.dimension} of {source.encoder}"
        )
    done, newest = source.delivered(consumer), source.newest_closed()
    for delivery in source.deliveries(done, newest):
        target.put(delivery.ids, delivery.vectors, delivery.sources)
        source.mark_delivered(consumer, delivery.place.window - 1)  # that window may have more
    if newest > done:
        source.mark_delivered(consumer, newest)
    # What was delivered when the process died before this line waits for it, too.
    if newest > done or target.counts().pending:
        target.publish()
    return newest - done
