"""Results that tests of the tables share, measured on scores that a small computation makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rapport_training.interest.data.prepared import Samples
from rapport_training.interest.tables.deciles import age_sets
from rapport_training.interest.tables.record import Record, RowRecord, TableRecord
from rapport_training.interest.tables.result import CtrResult, LogSummary
from rapport_training.interest.tables.suite import Suite, load_suite
from rapport_training.interest.tables.tested import figures_of

SUITE = """
name: tiny
logs: {first: {title: First log, prepare: {protocol: time}}, second: {title: Second log}}
encoders:
  mim: [{stage: pretrain, recipe: compact}, {stage: csft, recipe: compact, change: {csft: {queue: 2}}}]
  plain: [{stage: pretrain, recipe: compact, change: {pretraining: {dda_epochs: 0, dma_epochs: 0}}}]
encoder_notes: {plain: nothing was trained}
models:
  din: {label: DIN, recipe: CTR}
  sim: {label: SIM, recipe: CTR, change: {model: sim, auxiliary_weight: 1.0, top_k: 4}}
base: sim
seeds: [0, 1]
tables:
  - {table: "2", log: first, models: [din, sim], encoder: mim}
  - table: "3"
    log: first
    rows:
      - {label: Base}
      - {label: Plain FoM, encoder: plain}
      - {label: +DDA, missing: no pictures}
      - {label: +DDA+DMA+C-SFT (MIM), encoder: mim, stands_for: trained here}
  - {table: "2", log: second, models: [din], encoder: mim}
cost: {log: first, model: sim, encoder: mim, batch_size: 8}
claims:
  - {log: first, gain: 0.05, mostly_new: true}
"""

CTR_RECIPE = """
name: tiny-ctr
model: din
embedding_dim: 8
hidden: [16]
attention_hidden: [8]
history_length: 10
batch_size: 64
learning_rate: 0.01
epochs: 2
patience: 1
"""


def tiny_suite(folder: Path, text: str = SUITE) -> Suite:
    """A suite and the recipe that it names."""
    recipe = folder / "ctr.yaml"
    recipe.write_text(CTR_RECIPE)
    path = folder / "suite.yaml"
    path.write_text(text.replace("CTR", str(recipe)))
    return load_suite(path)


def measured(key: str, seed: int, knowledge: float, knowledge_of_new: float) -> CtrResult:
    """A result whose scores know the label better the larger `knowledge` is, of the newest tenth of items apart."""
    rng = np.random.default_rng(seed)
    item = rng.integers(2, 52, 2000).astype(np.int32)
    label = rng.integers(0, 2, 2000).astype(np.float32)
    cold = item >= 47
    signal = np.where(cold, knowledge_of_new, knowledge) * (label - 0.5)
    scores = 1 / (1 + np.exp(-(signal + rng.normal(size=2000))))
    samples = Samples(
        user=rng.integers(2, 30, 2000).astype(np.int32),
        item=item,
        label=label,
        time=np.arange(2000),
        start=np.zeros(2000, np.int64),
        end=np.zeros(2000, np.int64),
        cold=cold,
    )
    whole = figures_of(samples, scores, np.ones(2000, dtype=bool))
    assert whole is not None
    return CtrResult(
        key=key,
        seed=seed,
        test=whole,
        new=figures_of(samples, scores, cold),
        known=figures_of(samples, scores, ~cold),
        ages=age_sets(item, label, scores, np.arange(52, dtype=np.int64) * 86_400),
        epochs=2,
        parameters=100,
        seconds=1.0,
        commit="c" * 40,
    )


def tiny_record(suite: Suite) -> Record:
    """Table 2 with DIN on two seeds, where MIM knows much more of new items; Table 3 without results."""
    results = {}
    for seed in (0, 1):
        results[f"base{seed}"] = measured(f"base{seed}", seed, 1.0, 0.1)
        results[f"mim{seed}"] = measured(f"mim{seed}", seed, 1.4, 2.0)
    summary = LogSummary(
        title="First log",
        protocol="time 80/10/10, label = click",
        digest="d" * 64,
        sizes=(100, 10, 2000),
        items=50,
        users=28,
        new=200,
        leakage="leakage check: labels shuffled 0.5012",
    )
    rows = [
        RowRecord(label="DIN, Base", jobs=["base0", "base1"]),
        RowRecord(label="DIN, Base+MIM", base="DIN, Base", jobs=["mim0", "mim1"]),
    ]
    return Record(
        created="2026-01-01",
        commit="c" * 40,
        suite=suite,
        seeds=[0, 1],
        logs={"first": summary},
        tables=[
            TableRecord(table="2", log="first", rows=rows),
            TableRecord(table="3", log="first", rows=[RowRecord(label="Base", jobs=[])]),
        ],
        results=results,
        costs=[],
        missing={"table 3, first: Base": "not trained yet"},
    )
