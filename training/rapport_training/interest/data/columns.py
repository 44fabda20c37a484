"""What converters give, as columns of the schema."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rapport_edge.ranking.history import LATEST
from rapport_training.interest.data.errors import LogError


def table_of(columns: dict[str, Any], schema: pa.Schema, defaults: dict[str, Any]) -> pa.Table:
    """Columns as the schema wants them; an absent one is its default or null."""
    rows = len(next(iter(columns.values())))
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.repeat(pa.scalar(defaults.get(field.name), field.type), rows))
        elif isinstance(values, (pa.Array, pa.ChunkedArray)):
            arrays.append(values.cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
        # An absent text is an empty one; an absent label is a mistake, and `check_labels` finds it.
        if isinstance(defaults.get(field.name), str):
            arrays[-1] = pc.fill_null(arrays[-1], pa.scalar(defaults[field.name], field.type))
    return pa.table(arrays, schema=schema)


def check_labels(labels: pa.ChunkedArray, before: int) -> None:
    """Refuses with a `LogError` what is no number in [0, 1]; `before` rows came earlier."""
    values = labels.to_numpy()
    outside = ~((values >= 0) & (values <= 1))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise LogError(
            f"event {before + row + 1} of the source has the label {values[row]}; expected a number between 0 and 1"
        )


def check_times(times: pa.Array | pa.ChunkedArray, where: str = "the source") -> None:
    """Refuses with a `LogError` what can be no Unix seconds; `where` the times are from."""
    bounds = pc.min_max(times).as_py()
    for found in bounds.values():
        if found is not None and abs(found) > LATEST:
            raise LogError(f"an event of {where} has the time {found}; expected Unix seconds: are these milliseconds?")
