"""Batches: what is in them, in which order, for which process, and how fast they come."""

from __future__ import annotations

import time
from itertools import chain

import numpy as np
import pytest
import torch
from behaviour_logs import Event, write_events
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import PADDING, Field
from rapport_training.interest.data.batches import batch_count, batches
from rapport_training.interest.data.content_table import InMemoryContent
from rapport_training.interest.data.epoch_order import EpochOrder
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.prepared_writer import About, Catalogue, PreparedWriter
from rapport_training.interest.data.settings import PrepareSettings

ITEMS = 50


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> PreparedLog:
    """700 samples of 9 users, up to 60 behaviours each."""
    rng = np.random.default_rng(0)
    events = [
        Event(f"u{rng.integers(9)}", f"i{rng.integers(ITEMS)}", 3600 * t, int(rng.integers(1, 6))) for t in range(700)
    ]
    folder = tmp_path_factory.mktemp("batches")
    return prepare(write_events(folder / "log", events), PrepareSettings(), folder / "prepared")


def test_a_batch_holds_the_most_recent_behaviours_then_padding(prepared):
    samples, row = prepared.samples("train"), 0
    for batch in batches(prepared, "train", batch_size=64, history_length=5, seed=None):
        for place in range(len(batch)):
            start, end = int(samples.start[row]), int(samples.end[row])
            length = min(5, end - start)
            assert batch.length[place] == length
            assert batch.history[place, :length].tolist() == prepared.sequence[end - length : end].tolist()
            assert (batch.history[place, length:] == PADDING).all()
            days = (samples.time[row] - prepared.sequence_time[end - length : end]) / 86_400
            assert np.allclose(batch.age[place, :length], days)
            assert (batch.age[place, length:] == 0).all()
            assert (batch.user[place], batch.item[place]) == (samples.user[row], samples.item[row])
            assert batch.label[place] == samples.label[row]
            row += 1
    assert row == len(samples)


def test_row_groups_are_the_samples_in_order(prepared):
    groups = list(prepared.row_groups("train", rows=100))
    assert [len(group) for group in groups[:-1]] == [100] * (len(groups) - 1)
    for name in ("user", "item", "label", "time", "start", "end", "cold"):
        whole = np.concatenate([getattr(group, name) for group in groups])
        assert np.array_equal(whole, getattr(prepared.samples("train"), name))


def key(batch) -> list[tuple]:
    return list(zip(batch.user.tolist(), batch.item.tolist(), batch.length.tolist(), batch.label.tolist(), strict=True))


@given(rows=st.integers(0, 200), batch_size=st.integers(1, 40).map(lambda n: 4 * n), world=st.sampled_from([1, 2, 4]))
def test_training_batches_can_be_shared_equally(rows, batch_size, world):
    count = batch_count(rows, batch_size, world, training=True)
    whole, rest = divmod(rows, batch_size)
    assert count == whole + (rest // world >= 2)
    assert batch_count(rows, batch_size, world, training=False) == -(-rows // batch_size)


def test_the_ranks_shares_make_up_the_batch(prepared):
    for seed in (None, 3):
        kwargs = {"batch_size": 48, "history_length": 60, "seed": seed}
        whole = [key(batch) for batch in batches(prepared, "train", **kwargs)]
        shares = zip(*(batches(prepared, "train", **kwargs, rank=rank, world=2) for rank in range(2)), strict=True)
        for batch, (first, second) in zip(whole, shares, strict=True):
            assert key(first) + key(second) == batch
            assert seed is None or len(first) == len(second)


def test_a_permutation_follows_from_the_seed_and_can_be_entered_anywhere(prepared):
    def read(seed, start_batch=0):
        return [
            key(b)
            for b in batches(prepared, "train", batch_size=32, history_length=9, seed=seed, start_batch=start_batch)
        ]

    assert read(1) == read(1) != read(2)
    assert read(1, start_batch=5) == read(1)[5:]
    assert len(read(1)) == batch_count(len(prepared.samples("train")), 32, training=True)
    assert sorted(chain(*read(1))) == sorted(chain(*read(None))), "every sample once"


@given(
    rows=st.integers(0, 120),
    group=st.integers(1, 20),
    window=st.integers(1, 4),
    seed=st.integers(0, 3),
    step=st.integers(1, 50),
)
def test_an_epoch_larger_than_memory_has_every_row_once_and_reads_few_groups_at_a_time(rows, group, window, seed, step):
    order = EpochOrder(rows, seed, group, window)
    taken = [order.take(first, min(first + step, rows)) for first in range(0, rows, step)]
    whole = EpochOrder(rows, seed, group, window).take(0, rows)
    assert np.concatenate([*taken, []]).tolist() == whole.tolist()
    assert sorted(whole.tolist()) == list(range(rows))
    place = 0
    while place < rows:
        first_groups = list(dict.fromkeys((whole[place:] // group).tolist()))[:window]
        size = sum(min(group, rows - one * group) for one in first_groups)
        if len(set((whole[place : place + size] // group).tolist())) > window:
            raise AssertionError("a window reads more groups than it may")
        place += size


def test_one_window_is_shuffled_as_a_whole():
    order = EpochOrder(1000, 0, group_rows=10).take(0, 1000)
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.1
    assert len(set((order[:10] // 10).tolist())) > 5


def test_only_the_batchs_items_are_looked_up_and_land_in_their_places(prepared):
    matrix = np.random.default_rng(1).normal(size=(len(prepared.item_ids), 4)).astype(np.float32)
    matrix[7] = 0  # an item without content

    class Counting(InMemoryContent):
        asked: list[int]

        def rows(self, indexes):
            self.asked = indexes.tolist()
            return super().rows(indexes)

    table = Counting(matrix)
    for size in (2, 64):
        for batch in batches(prepared, "train", batch_size=size, history_length=6, seed=0, content=table):
            wanted = torch.from_numpy(matrix)
            wanted[:2] = 0
            assert torch.equal(batch.content.vectors[batch.content.item], wanted[batch.item])
            assert torch.equal(batch.content.vectors[batch.content.history], wanted[batch.history])
            assert not batch.content.vectors[0].any()
            assert (batch.content.history[batch.history == PADDING] == 0).all()
            assert len(table.asked) == len(set(table.asked))
            assert set(table.asked) <= {PADDING, *batch.item.tolist(), *batch.history.ravel().tolist()}


def test_a_large_catalogue_is_searched_instead_of_tabled(tmp_path):
    """The other way to the same rows, for catalogues far larger than a batch."""
    prepared = written(tmp_path, samples=8, history=3, items=100_000)
    content = InMemoryContent(np.random.default_rng(0).normal(size=(100_000, 2)).astype(np.float32))
    batch = next(batches(prepared, "train", batch_size=8, history_length=3, seed=None, content=content))
    assert np.array_equal(batch.content.vectors[batch.content.item], content.rows(batch.item.numpy()))
    assert np.array_equal(batch.content.vectors[batch.content.history], content.rows(batch.history.numpy()))


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"rank": 2, "world": 2}, {"batch_size": 33, "world": 2}])
def test_a_batch_that_cannot_be_is_refused(prepared, wrong):
    with pytest.raises(SettingsError, match="batch"):
        next(batches(prepared, "train", **({"batch_size": 32, "history_length": 5, "seed": 0} | wrong)))


def written(folder, *, samples: int, history: int, items: int) -> PreparedLog:
    """Samples of one user each, every history of the same length."""
    rng = np.random.default_rng(0)
    with PreparedWriter(folder, timed=False) as writer:
        writer.add_sequence(rng.integers(2, items, samples * history))
        for split in ("train", "validation", "test"):
            end = np.arange(1, samples + 1) * history
            columns = {"user": np.full(samples, 2), "item": rng.integers(2, items, samples), "end": end}
            columns |= {"label": rng.integers(0, 2, samples), "time": np.full(samples, -1), "start": end - history}
            writer.add(split, columns)
        writer.close_samples(items, 3)
        ids = np.arange(items, dtype=np.int32)[:, None]
        writer.finish(
            Catalogue([str(i) for i in range(items)], [Field("item", items)], ids),
            Catalogue(["", "", "u"], [Field("user", 3)], ids[:3]),
            np.full(items, -1),
            About("speed", "test", "none"),
        )
    return PreparedLog.open(folder)


# In the process's own time one core of a server (EPYC, Zen 4) gave 3,400,000 and 260,000; the bounds are for slow ones.
@pytest.mark.parametrize(
    ("samples", "history", "least"), [(100_000, 20, 300_000), (8_192, 1_000, 20_000)], ids=["20", "1000"]
)
def test_batches_come_faster_than_models_take_them(tmp_path, samples, history, least):
    prepared = written(tmp_path, samples=samples, history=history, items=5_000)

    def speed() -> float:
        begun, rows = time.process_time(), 0
        for batch in batches(prepared, "train", batch_size=1024, history_length=history, seed=1):
            rows += len(batch)
        return rows / (time.process_time() - begun)

    assert max(speed() for _ in range(3)) > least
