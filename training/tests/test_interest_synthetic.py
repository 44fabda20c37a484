"""Synthetic logs are what they say: content tells the clicks in one, nothing but histories in the other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from rapport_edge.errors import SettingsError
from rapport_edge.images import decode_compressed
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.log_writer import write_log
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.settings import PrepareSettings
from rapport_training.interest.data.sources.synthetic import SyntheticSettings, synthetic, truth_of

SIZES = {"items": 900, "users": 600, "events": 12_000, "seed": 5}


@pytest.fixture(scope="module", params=["content", "noise"])
def made(request, tmp_path_factory) -> tuple[SyntheticSettings, BehaviourLog, PreparedLog]:
    folder = tmp_path_factory.mktemp(request.param)
    settings = SyntheticSettings(kind=request.param, **SIZES)
    log = write_log(*synthetic(settings), folder / "log")
    return settings, log, prepare(log, PrepareSettings(), folder / "out")


def numbers(ids: list[str]) -> np.ndarray:
    return np.array([int(one[1:] or 0) for one in ids])


def history_auc(prepared: PreparedLog, group: np.ndarray) -> float:
    """AUC of how much of the history is of the target's group."""
    test, items = prepared.samples("test"), numbers(prepared.item_ids)
    scores = [
        (group[items[prepared.sequence[start:end]]] == group[items[item]]).mean() if end > start else 0
        for start, end, item in zip(test.start, test.end, test.item, strict=True)
    ]
    return roc_auc_score(test.label, scores)


def test_what_is_hidden_is_what_drives_the_clicks(made):
    settings, _, prepared = made
    truth = truth_of(settings)
    assert history_auc(prepared, truth.cluster) > 0.8
    if settings.kind == "noise":
        assert abs(history_auc(prepared, truth.style) - 0.5) < 0.05


def test_the_test_period_has_many_new_items_in_one_and_none_in_the_other(made):
    settings, _, prepared = made
    cold = prepared.samples("test").cold.mean()
    assert cold > 0.4 if settings.kind == "content" else cold == 0


def test_pictures_and_titles_show_the_style(made):
    """Colours and words alone, in a linear model, find the style far more often than by chance (1 of 24)."""
    settings, log, _ = made
    truth = truth_of(settings)
    table = log.items(["image", "title"]).to_pylist()
    words = sorted({word for row in table for word in row["title"].lower().split()})
    place = {word: number for number, word in enumerate(words)}
    titles = np.zeros((len(table), len(words)))
    colours = np.zeros((len(table), 64))
    for row, item in enumerate(table):
        titles[row, [place[word] for word in item["title"].lower().split()]] = 1
        if item["image"]:
            hsv = cv2.cvtColor(decode_compressed(item["image"]), cv2.COLOR_RGB2HSV)
            strong = hsv[..., 1] > 100
            colours[row] = np.histogram(hsv[..., 0][strong], 64, (0, 180))[0] / max(1, strong.sum())
    for features, least in [(titles, 0.7), (colours, 0.15)]:
        model = LogisticRegression(C=100, max_iter=300).fit(features[:700], truth.style[:700])
        assert model.score(features[700:], truth.style[700:]) > least


def test_purchases_come_with_a_picture_of_what_was_searched(made):
    _, log, _ = made
    for batch in log.event_batches(["kind", "query_image", "label"]):
        for row in batch.to_pylist():
            assert (row["query_image"] is not None) == (row["kind"] == "purchase")
            assert row["label"] == (row["kind"] != "impression")


def test_the_same_seed_gives_the_same_log_and_another_another(tmp_path):
    small = {"items": 60, "users": 20, "events": 300}
    digests = [
        write_log(*synthetic(SyntheticSettings(**small, seed=seed)), tmp_path / str(n)).digest
        for n, seed in enumerate([1, 1, 2])
    ]
    assert digests[0] == digests[1] != digests[2]


def test_too_few_items_are_refused():
    with pytest.raises(SettingsError, match="at least 48 items"):
        synthetic(SyntheticSettings(items=10))
