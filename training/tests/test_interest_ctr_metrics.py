"""AUC, GAUC and log loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from rapport_edge.errors import SettingsError
from rapport_training.interest.ctr.metrics import ctr_metrics

ROW = st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3))


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(ROW, min_size=2, max_size=40))
def test_figures_are_those_of_one_user_after_another(rows: list[tuple[bool, int, int]]) -> None:
    label, score, user = (np.array(column) for column in zip(*rows, strict=True))
    if label.all() or not label.any():
        return
    found = ctr_metrics(label.astype(np.float32), (score + 1) / 10, user)
    assert found.auc == pytest.approx(roc_auc_score(label, score))
    assert found.log_loss == pytest.approx(log_loss(label, (score + 1) / 10))
    both = [mine for mine in (user == one for one in set(user)) if 0 < label[mine].sum() < mine.sum()]
    if not both:
        assert math.isnan(found.gauc)
        return
    expected = sum(mine.sum() * roc_auc_score(label[mine], score[mine]) for mine in both) / sum(m.sum() for m in both)
    assert found.gauc == pytest.approx(expected)


def test_what_has_no_auc_is_refused() -> None:
    with pytest.raises(SettingsError, match="one kind"):
        ctr_metrics(np.ones(3, np.float32), np.full(3, 0.5), np.arange(3))
    with pytest.raises(SettingsError, match="sample 1 is no number"):
        ctr_metrics(np.array([0, 1], np.float32), np.array([0.5, np.nan]), np.arange(2))
    with pytest.raises(SettingsError, match="label of sample 2 is no number"):
        ctr_metrics(np.array([0, 1, np.nan], np.float32), np.full(3, 0.5), np.arange(3))
