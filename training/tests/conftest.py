"""Fixtures of the training package's tests: a few real faces and a model small enough for a unit test."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training package is not installed (it needs Python 3.11)")
pytest.importorskip("rapport_training", reason="the training package is not installed (it needs Python 3.11)")

import pyarrow.parquet as pq

# Modules that several tests share; tests are no package, so that there is no other way to them.
sys.path.insert(0, str(Path(__file__).parent / "helpers"))

from chat_server import ChatServer

TINY_RECIPE = """
name: test-model
seed: 3
model:
  embed_dim: 16
  vision_cfg:
    {timm_model_name: test_resnet, timm_model_pretrained: false, timm_pool: avg, timm_proj: '', image_size: 32}
  text_cfg: {context_length: 32, vocab_size: 49408, width: 16, heads: 2, layers: 1}
views: {fairuser: 1.0, gender: 1.0, age: 1.0}
stages: [{from_epoch: 0, size: 32}, {from_epoch: 1, size: 48}]
epochs: 2
batch_size: 32
warmup_steps: 2
held_out: 0.3
"""


@pytest.fixture(scope="session")
def few_faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file with 160 labelled faces."""
    table = pq.read_table(shared_data / "fairface" / "val.parquet").slice(0, 160)
    path = tmp_path_factory.mktemp("faces") / "few.parquet"
    pq.write_table(table, path)
    return path


@pytest.fixture
def tiny_recipe(tmp_path: Path) -> Path:
    """A recipe that trains in seconds."""
    path = tmp_path / "recipe.yaml"
    path.write_text(TINY_RECIPE)
    return path


@pytest.fixture(scope="session")
def fair_user(few_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FairUser data set made from `few_faces`."""
    from rapport_training.data.fairuser import FairUserSettings, build_fairuser

    out = tmp_path_factory.mktemp("data") / "fairuser"
    build_fairuser(FairUserSettings([few_faces], splits="0.6,0.2,0.2"), out, command="made by a test", processes=1)
    return out


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """An endpoint on this machine, which no proxy of the network around it reaches."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("no_proxy", raising=False)
    with ChatServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()
