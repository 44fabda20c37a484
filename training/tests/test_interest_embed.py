"""A catalogue becomes a representation centre: once, again only what changed, on one machine or by Ray."""

from __future__ import annotations

import gc
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from content_log import recipe_of, write_content_log

from rapport_edge.errors import SettingsError
from rapport_edge.representation import (
    CentreError,
    CentreFormat,
    EmbeddedCentre,
    NewItem,
    OtherEncoderError,
    RealTimeInference,
    open_centre,
)
from rapport_training.cli import main
from rapport_training.interest.centre_content import CentreContent, content_of
from rapport_training.interest.content.item_encoder import load_item_encoder
from rapport_training.interest.content.pretraining.fit import fit_pretraining
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.log_writer import About, write_log
from rapport_training.interest.embed import EmbedCounts, contents_of, embed_items, embed_log, sources_of
from rapport_training.interest.embed_ray import Worker


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> BehaviourLog:
    return write_content_log(tmp_path_factory.mktemp("logs") / "styles")


@pytest.fixture(scope="module")
def encoder(log: BehaviourLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose towers are as random as they began: as good as any for what is tested here."""
    run = tmp_path_factory.mktemp("runs") / "plain"
    fit_pretraining(recipe_of(pretraining={"dda_epochs": 0, "dma_epochs": 0}), log, run)
    return run


@pytest.fixture(scope="module")
def expected(log: BehaviourLog, encoder: Path) -> np.ndarray:
    return load_item_encoder(encoder).embed(*contents_of(log.items()))


def ids_of(log: BehaviourLog) -> list[str]:
    return log.items(["id"]).column("id").to_pylist()


def vectors_in(where: Path, log: BehaviourLog) -> np.ndarray:
    with closing(open_centre(where)) as centre:
        rows = centre.lookup(ids_of(log))
        assert rows.found.all()
        assert centre.counts().pending == 0
        return rows.vectors


def test_every_item_is_embedded_once(log, encoder, expected, tmp_path):
    assert embed_log(log, encoder, tmp_path) == EmbedCounts(48, 48, 1, broken=2)
    np.testing.assert_allclose(vectors_in(tmp_path, log), expected, atol=2e-6)
    assert embed_log(log, encoder, tmp_path) == EmbedCounts(48, 0, 1)


def test_items_that_appear_later_are_embedded_as_the_catalogue_was(log, encoder, expected, tmp_path):
    loaded, items = load_item_encoder(encoder), log.items().to_pylist()
    news = [NewItem(item["id"], item["title"], item["image"]) for item in items]
    with closing(EmbeddedCentre(tmp_path, _layout(encoder))) as centre:
        realtime = RealTimeInference(centre, loaded, window_items=1)
        assert [realtime.add(news[:30]), realtime.add(news)] == [30, 18]
        realtime.publish_due()
    np.testing.assert_allclose(vectors_in(tmp_path, log), expected, atol=2e-6)
    assert embed_log(log, encoder, tmp_path).embedded == 0


class StopsAfter:
    """A real encoder whose process is interrupted."""

    def __init__(self, run: Path, batches: int):
        self._encoder, self._left = load_item_encoder(run), batches
        self.digest, self.dimension = self._encoder.digest, self._encoder.dimension

    def embed(self, titles, images):
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return self._encoder.embed(titles, images)


def long_log(folder: Path, title: str = "") -> BehaviourLog:
    """2,500 items, in three row groups."""

    def fill(writer):
        ids = [f"item {number}" for number in range(2500)]
        writer.add_items(id=ids, title=[item if item != "item 1700" else title or item for item in ids])
        writer.add_events(user=["u"], item=["item 0"], time=[1])

    return write_log(About("long"), fill, folder)


def test_a_job_goes_on_where_it_was_stopped_and_sees_what_changed(encoder, tmp_path):
    log, where = long_log(tmp_path / "log"), tmp_path / "centre"
    with pytest.raises(KeyboardInterrupt):
        embed_items(log, partial(StopsAfter, encoder, 2), where, engine="local", storage="float16")
    with closing(open_centre(where)) as centre:
        assert centre.counts()[:2] == (2000, 2000)
    assert embed_log(log, encoder, where, storage="float16") == EmbedCounts(2500, 500, 1)
    changed = long_log(tmp_path / "changed", title="now with another title")
    before = vectors_in(where, log)
    assert embed_log(changed, encoder, where) == EmbedCounts(2500, 1, 2)  # the centre's own storage
    assert np.flatnonzero((vectors_in(where, log) != before).any(axis=1)).tolist() == [1700]


def test_another_encoders_centre_is_refused(log, encoder, tmp_path):
    other = tmp_path / "other"
    fit_pretraining(recipe_of(pretraining={"dda_epochs": 0, "dma_epochs": 0}), log, other, seed=4)
    embed_log(log, encoder, tmp_path / "centre")
    with pytest.raises(OtherEncoderError):
        embed_log(log, other, tmp_path / "centre")


def test_the_command_says_what_it_did(log, encoder, tmp_path):
    where = tmp_path / "centre"
    arguments = ["interest", "embed", "--log", str(log.path), "--encoder", str(encoder), "--centre", str(where)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "48 of 48 items embedded now" in result.output
    assert (where / "current.json").is_file()


def start_ray(ray: Any) -> None:
    """Ray gives the processes that it starts 30 seconds, which may not be enough on a busy machine."""
    for attempts_left in (2, 1, 0):
        try:
            ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            return
        except Exception as error:  # what Ray raises has no name of its own
            if "timed out during startup" not in str(error) or not attempts_left:
                raise
            ray.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ray_embeds_the_same(log, encoder, expected, tmp_path):
    ray = pytest.importorskip("ray", reason="the extra rapport-training[ray] is not installed")
    start_ray(ray)
    try:
        with closing(EmbeddedCentre(tmp_path, _layout(encoder))) as centre:
            half = log.items().slice(0, 20)
            centre.put(half.column("id").to_pylist(), expected[:20], sources_of(half))
        assert embed_log(log, encoder, tmp_path, engine="ray") == EmbedCounts(48, 28, 1)
        np.testing.assert_allclose(vectors_in(tmp_path, log), expected, atol=2e-6)
    finally:
        ray.shutdown()


def _layout(run: Path):
    encoder = load_item_encoder(run)
    return CentreFormat(encoder=encoder.digest, dimension=encoder.dimension)


def test_a_ray_worker_with_another_encoder_refuses(encoder):
    pytest.importorskip("ray", reason="the extra rapport-training[ray] is not installed")
    with pytest.raises(CentreError, match="the centre is of bb; copy the same run"):
        Worker(partial(load_item_encoder, encoder), None, "bb")


def test_ray_is_named_where_it_is_absent(log, encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match="pip install"):
        embed_log(log, encoder, tmp_path, engine="ray")


def test_content_follows_the_index_of_items(log, encoder, expected, tmp_path, caplog):
    embed_log(log, encoder, tmp_path)
    ids = ["", "", *reversed(ids_of(log)), "never embedded"]
    with closing(open_centre(tmp_path)) as centre:
        content = CentreContent(ids, centre)
        assert (content.dimension, content.encoder) == (expected.shape[1], centre.encoder)
    rows = content.rows(np.array([0, 2, 1, 50, 49, 2]))
    absent = np.zeros(expected.shape[1])
    wanted = [absent, expected[47], absent, absent, expected[0], expected[47]]
    np.testing.assert_allclose(rows, wanted, atol=2e-6)
    assert content.missing == 1
    assert "1 of 49 items have no content" in caplog.text


def test_content_includes_what_is_not_published_yet_and_stays_as_it_began(log, encoder, tmp_path):
    layout = _layout(encoder)
    vectors = np.random.default_rng(0).standard_normal((4, layout.dimension)).astype(np.float32)
    with closing(EmbeddedCentre(tmp_path, layout)) as centre:
        centre.put(["a", "b"], vectors[:2], ["1", "2"])
        unpublished = CentreContent(["", "", "b", "a"], centre)
        centre.publish()
        centre.put(["c"], vectors[2:3], ["3"])
        content = CentreContent(["", "", "c", "b", "a"], centre)
        centre.put(["a"], vectors[3:], ["4"])
        centre.publish()
    assert (unpublished.rows(np.array([2, 3, 1]))[:2] == vectors[[1, 0]]).all()
    assert (content.rows(np.array([2, 3, 4])) == vectors[[2, 1, 0]]).all()
    assert content.rows(np.array([], np.int64)).shape == (0, layout.dimension)


def test_a_centre_is_open_no_longer_than_its_content_is_read(log, encoder, expected, tmp_path):
    embed_log(log, encoder, tmp_path)
    gc.disable()  # which would close it some day
    try:
        content = content_of(["", "", *ids_of(log)], tmp_path)
        handles = [handle.readlink() for handle in Path("/proc/self/fd").iterdir() if handle.is_symlink()]
        assert not [name for name in handles if str(name).startswith(str(tmp_path / "authority.db"))]
    finally:
        gc.enable()
    np.testing.assert_allclose(content.rows(np.arange(2, 50)), expected, atol=2e-6)


def test_a_centre_that_knows_none_of_the_items_is_refused(tmp_path):
    with closing(EmbeddedCentre(tmp_path, CentreFormat(encoder="e", dimension=2))) as centre:
        centre.put(["a"], [[1.0, 2.0]], ["s"])
    assert content_of(["", "", "a", "b"], tmp_path).missing == 1
    with pytest.raises(CentreError, match="knows none of the 2 items: it is of another catalogue"):
        content_of(["", "", "b", "c"], tmp_path)


def test_a_log_that_is_none_is_refused(encoder, tmp_path):
    result = CliRunner().invoke(
        main, ["interest", "embed", "--log", str(tmp_path), "--encoder", str(encoder), "--centre", str(tmp_path / "c")]
    )
    assert result.exit_code == 2
    assert "is no behaviour log" in result.output
