"""What the exported graph scores against what the trained model scores, on the same histories and candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rapport_edge.engines import Engine
from rapport_edge.errors import RapportError
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.export.cases import Case, scores_of
from rapport_training.interest.export.graph import GraphInputs
from rapport_training.interest.export.vocabulary import KeptIds

#: Largest difference between two scores, which are probabilities.
PARITY: Final = 1e-5


class Translator:
    """Cases in the indexes of training to the inputs of a graph.

    Args:
        model: as it was trained.
        inputs: of the graph.
        items, users: which ids the graph keeps; users None where the user's index is no feature.
    """

    def __init__(self, model: CtrModel, inputs: GraphInputs, items: KeptIds, users: KeptIds | None) -> None:
        self._inputs, self._items, self._users = inputs, items, users
        self._item_values = model.item_values.numpy()
        self._user_values = model.user_values.numpy()
        self._first_user = self._user_values.shape[1] - inputs.user_columns

    def feeds(self, case: Case) -> dict[str, NDArray[Any]]:
        """Inputs by name; an empty history becomes one row of padding."""
        everything: dict[str, NDArray[Any] | None] = {
            "user": self._user(case.user),
            "items": self._items.values(self._item_values[case.items]),
            "history": _at_least_one(self._items.values(self._item_values[case.history])),
            "age": _at_least_one(case.age),
            "item_content": case.item_content,
            "history_content": None if case.history_content is None else _at_least_one(case.history_content),
        }
        return {name: np.ascontiguousarray(everything[name]) for name in self._inputs.shapes}

    def _user(self, user: int) -> NDArray[np.int64]:
        values = self._user_values[[user]].astype(np.int64)
        if self._users is not None:
            values = self._users.values(values)
        return values[0, self._first_user :]


def _at_least_one(rows: NDArray[Any]) -> NDArray[Any]:
    return rows if len(rows) else np.zeros((1, *rows.shape[1:]), rows.dtype)


def check_parity(model: CtrModel, engine: Engine, translator: Translator, cases: Iterable[Case]) -> float:
    """The largest difference of a score over all cases.

    Raises:
        RapportError: if it is above `PARITY`, or not a number.
    """
    worst = 0.0
    for case in cases:
        found = engine.run(translator.feeds(case))[0]
        difference = float(np.abs(found.astype(np.float64) - scores_of(model, case)).max())
        if not difference <= PARITY:
            raise RapportError(
                f"the exported ranker's score differs from training's by {difference:.2g}, more than {PARITY:g}, for a "
                f"history of {len(case.history)} events"
            )
        worst = max(worst, difference)
    return worst


def largest_change(engine: Engine, given: Mapping[str, NDArray[Any]], changed: Mapping[str, NDArray[Any]]) -> float:
    """How much other inputs move a score."""
    return float(np.abs(engine.run(given)[0] - engine.run(changed)[0]).max())
