"""How a log becomes samples."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rapport_edge.errors import SettingsError
from rapport_training.interest.data.log import LogRecord

#: Of the best possible label: four of five stars, and a click.
_LIKED = 0.8


class PrepareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `rapport-train interest prepare`.

    Attributes:
        protocol: "time" parts all events at two points in time, as a service that is trained today and used tomorrow
            sees them. "leave-last-out" takes each user's last event for the test and the one before for validation:
            training then has events of other users that are later than a test event.
        shares: of the samples for training, validation and test; for "time" alone.
        negatives: items sampled for each event that the user liked. 0: the log has negatives of its own.
        negatives_by: "uniform", or "popularity": in proportion to an item's events, so that popularity does not tell
            positives from negatives.
        seed: of the sampling.
        history_kinds: kinds of events that make behaviours, if liked; empty: all.
        sample_kinds: kinds of events to be explained; empty: all.
        threshold: what counts as liked, in the log's own unit (stars); None: 0.8 of the best.
    """

    protocol: Literal["time", "leave-last-out"] = "time"
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    negatives: Annotated[int, msgspec.Meta(ge=0)] = 0
    negatives_by: Literal["uniform", "popularity"] = "uniform"
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    history_kinds: tuple[str, ...] = ()
    sample_kinds: tuple[str, ...] = ()
    threshold: float | None = None

    def check(self, log: LogRecord) -> None:
        """What no single field's range can say.

        Raises:
            SettingsError: if the settings do not suit the log.
        """
        if self.protocol == "time" and not log.timed:
            raise SettingsError(f"{log.name} has an order, but no times: take the protocol leave-last-out")
        if self.protocol == "leave-last-out" and self.shares != PrepareSettings().shares:
            raise SettingsError(
                f"leave-last-out has no shares, such as {self.shares}: two samples of a user do not train"
            )
        if self.negatives_by != "uniform" and not self.negatives:
            raise SettingsError(f"no negatives are drawn by {self.negatives_by}: say how many, such as --negatives 4")
        if not (all(share > 0 for share in self.shares) and abs(sum(self.shares) - 1) <= 1e-6):
            raise SettingsError(f"shares {self.shares} must be above 0 and add up to 1")

    def threshold_of(self, log: LogRecord) -> float:
        """The least label, in [0, 1], that counts as liked."""
        unit = _LIKED * log.label_scale if self.threshold is None else self.threshold
        return unit / log.label_scale

    def line(self, log: LogRecord) -> str:
        """The protocol in one line, for every figure that is printed."""
        unit = self.threshold_of(log) * log.label_scale
        parts = ["time " + "/".join(f"{100 * share:g}" for share in self.shares)]
        if self.protocol == "leave-last-out":
            parts = ["leave-last-out"]
        if log.label_scale != 1:
            parts.append(f"label = {log.label_name} >= {unit:g}")
        if self.negatives:
            parts.append(f"{self.negatives} sampled negatives per positive ({self.negatives_by}, seed {self.seed})")
        if self.sample_kinds:
            parts.append(f"events: {'+'.join(self.sample_kinds)}")
        if self.history_kinds:
            parts.append(f"histories: {'+'.join(self.history_kinds)}")
        return ", ".join(parts)
