"""Writes interest-ranker bundles with random weights, for each model with and without MIM, to measure their speed.

    python training/benchmarks/random_rankers.py --data PREPARED --out DIR
    OMP_NUM_THREADS=1 python edge/benchmarks/ranking.py DIR/*

Every graph is held against training's forward pass, as in `rapport-train interest export`.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.recipe import CtrRecipe
from rapport_training.interest.data.content_table import InMemoryContent
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.export.card import CardFacts
from rapport_training.interest.export.ranker import assemble_ranker, write_ranker

MODELS = ("average", "din", "dien", "bst", "sim", "twin")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Any prepared samples.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the bundles.")
@click.option("--models", default=",".join(MODELS), show_default=True)
@click.option("--embedding-dim", type=int, default=32, show_default=True)
@click.option("--content-dim", type=int, default=64, show_default=True)
@click.option("--history", type=int, default=100, show_default=True)
@click.option("--top-k", type=int, default=20, show_default=True, help="Of SIM's and TWIN's searches.")
def main(data: Path, out: Path, models: str, embedding_dim: int, content_dim: int, history: int, top_k: int) -> None:
    """Writes DIR/MODEL-EMBEDDING and DIR/MODEL-mim-EMBEDDING and prints the parity of each."""
    prepared = PreparedLog.open(data)
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).standard_normal((len(prepared.item_ids), content_dim), dtype=np.float32)
    content = InMemoryContent(vectors, "0" * 64)
    for name in models.split(","):
        for mim in (False, True):
            title = f"{name}{'-mim' if mim else ''}-{embedding_dim}"
            settings = {"embedding_dim": embedding_dim, "history_length": history, "top_k": top_k, "embedding_std": 0.5}
            recipe = CtrRecipe(name=title, model=name, mim=mim, **settings)
            tables = (prepared.item_fields, prepared.item_values, prepared.user_fields, prepared.user_values)
            model = CtrModel(recipe, *tables, content_dim if mim else None).eval()
            exported = assemble_ranker(model, prepared, content)
            facts = CardFacts(title, "0.0.1", "not stated")
            write_ranker(exported, model, prepared, facts, out / title, overwrite=True)
            click.echo(f"{title:24s} parity {exported.parity:.1e}, float16 embeddings move {exported.rounding:.1e}")


if __name__ == "__main__":
    main()
