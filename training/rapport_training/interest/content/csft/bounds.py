"""Which events may teach an encoder: none that the samples of validation and test ask about, or that came later."""

from __future__ import annotations

import numpy as np

from rapport_edge.errors import SettingsError
from rapport_training.interest.data.prepared import PreparedLog


def bounds_of(prepared: PreparedLog) -> dict[str, int]:
    """The arguments `until` or `leave_last` of `fit_csft` that keep it to what prepared samples train on.

    Raises:
        SettingsError: if the samples have no times, and no protocol that says which events are theirs; or if only
            events of some kinds were left out, after which there may be others.
    """
    settings = prepared.record.settings
    if settings.get("protocol") == "leave-last-out":
        if settings.get("sample_kinds"):
            raise SettingsError(
                f"{prepared.path} tests on each user's last {' and '.join(settings['sample_kinds'])}, after which "
                "other events may have taught an encoder; prepare with --protocol time, or without --sample-kind"
            )
        return {"leave_last": 2}
    times = np.concatenate([prepared.samples(split).time for split in ("validation", "test")])
    if len(times) == 0 or times.min() < 0:
        raise SettingsError(f"{prepared.path} does not say where its training ends, so no encoder can learn")
    return {"until": int(times.min()) - 1}
