"""Our training loop against open_clip's own (`open_clip_train.train.train_one_epoch`): images per second and memory.

    OMP_NUM_THREADS=1 python benchmarks/training_loop.py
    python benchmarks/training_loop.py --model ViT-B-16-quickgelu --batch-size 256 --precision amp_bf16 --device cuda

Both loops train the same model on the same pictures and captions with the same batch size, precision and optimizer
(AdamW). Loading is left out: batches lie in memory, open_clip's already normalised and tokenised. Each measurement is a
process of its own; the two loops take turns, so that other work on the machine slows both alike. Two kinds of captions:
all different, as GenUser's paragraphs, and FairUser's, of which many faces share one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from rapport_edge.labels import AGE_BINS, GENDERS, RACES
from rapport_training.demographic.captions import caption
from rapport_training.demographic.dataset import Batch
from rapport_training.demographic.model import build_model, build_tokenizer
from rapport_training.demographic.module import ContrastiveModule
from rapport_training.demographic.pixels import Pixels, normalise
from rapport_training.demographic.recipe import Recipe, Stage

COMPACT: dict[str, Any] = {
    "embed_dim": 128,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 128, "head_width": 32, "layers": 4},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
PRECISIONS = {"fp32": "32-true", "amp_bf16": "bf16-mixed"}


class InMemory(Dataset[Batch]):
    """Crops with their row numbers, whole batches at once."""

    def __init__(self, crops: torch.Tensor) -> None:
        self.crops = crops

    def __len__(self) -> int:
        return len(self.crops)

    def __getitems__(self, rows: list[int]) -> Batch:
        """The faces of `rows`."""
        chosen = torch.tensor(rows)
        return Batch(self.crops[chosen], chosen, torch.empty(0, dtype=torch.uint8))


def main() -> None:
    """Prints a table, or as a child process one measurement as JSON."""
    options = _options()
    if options.loop:
        print(json.dumps(_measure(options)))
        return
    print(f"{'captions':12}{'ours, images/s':>16}{'open_clip':>12}{'ratio':>8}{'ours, MB':>12}{'open_clip':>12}")
    for kind in ("different", "fairuser"):
        found: dict[str, list[dict[str, float]]] = {"ours": [], "open_clip": []}
        for _ in range(options.rounds):
            for loop, results in found.items():
                results.append(_child(loop, kind))
        speed = {loop: statistics.median(r["images_per_s"] for r in results) for loop, results in found.items()}
        memory = {loop: max(r["peak_mb"] for r in results) for loop, results in found.items()}
        print(
            f"{kind:12}{speed['ours']:16.1f}{speed['open_clip']:12.1f}{speed['ours'] / speed['open_clip']:8.2f}"
            f"{memory['ours']:12.0f}{memory['open_clip']:12.0f}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact", help="an open_clip model's name")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--loop", choices=("ours", "open_clip"), help=argparse.SUPPRESS)
    parser.add_argument("--captions", choices=("different", "fairuser"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _child(loop: str, captions: str) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__)), *sys.argv[1:], "--loop", loop, "--captions", captions]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))


def _measure(options: argparse.Namespace) -> dict[str, float]:
    torch.manual_seed(0)
    config = COMPACT if options.model == "compact" else options.model
    count = options.batch_size * options.steps
    size = build_model(config).visual.image_size[0]
    crops = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    texts = _captions(options.captions, count)
    loop = _open_clip if options.loop == "open_clip" else _ours
    seconds = loop(options, config, crops, texts)
    cuda = options.device == "cuda"
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"images_per_s": count / seconds, "peak_mb": peak / 1e6}


def _captions(kind: str, count: int) -> list[str]:
    if kind == "different":
        return [f"a person with the number {number}, about whom nothing else is known" for number in range(count)]
    rng = np.random.default_rng(0)
    draw = [tuple(rng.choice(labels) for labels in (RACES, GENDERS, AGE_BINS)) for _ in range(count)]
    return [caption("fairuser", race=race, gender=gender, age=age) for race, gender, age in draw]


def _open_clip(options: argparse.Namespace, config: Any, crops: torch.Tensor, texts: list[str]) -> float:
    from open_clip.loss import ClipLoss
    from open_clip_train.train import train_one_epoch

    model = build_model(config).to(options.device)
    model.output_dict = True
    tokens = torch.as_tensor(build_tokenizer(config)(texts))
    data = TensorDataset(normalise(crops, Pixels()), tokens)
    arguments = SimpleNamespace(
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        accum_freq=1,
        world_size=1,
        rank=0,
        local_rank=0,
        log_every_n_steps=10_000,
        grad_clip_norm=None,
        skip_scheduler=True,
        distill=False,
        horovod=False,
        wandb=False,
        save_logs=False,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def epoch(part: TensorDataset) -> None:
        loader = DataLoader(part, options.batch_size, drop_last=True)
        loader.num_batches, loader.num_samples = len(loader), len(part)  # type: ignore[attr-defined]
        source = SimpleNamespace(dataloader=loader, set_epoch=lambda number: None)
        train_one_epoch(model, {"train": source}, ClipLoss(), 0, optimizer, None, None, None, arguments)

    epoch(TensorDataset(*(values[: 2 * options.batch_size] for values in data.tensors)))  # warm-up
    started = time.perf_counter()
    epoch(data)
    return _elapsed(started, options.device)


def _ours(options: argparse.Namespace, config: Any, crops: torch.Tensor, texts: list[str]) -> float:
    import lightning.pytorch as pl

    size = crops.shape[-1]
    recipe = Recipe(name="benchmark", model=config, stages=[Stage(from_epoch=0, size=size)], learning_rate=1e-5)
    distinct, inverse = np.unique(texts, return_inverse=True)
    index = SimpleNamespace(texts=[str(text) for text in distinct], of_face=inverse.reshape(1, -1))
    module = ContrastiveModule(recipe, {"caption": index}, {"caption": index}, steps=1000)  # type: ignore[dict-item]

    def loader(part: torch.Tensor) -> DataLoader[Batch]:
        return DataLoader(InMemory(part), options.batch_size, drop_last=True, collate_fn=lambda batch: batch)

    def trainer(*callbacks: pl.Callback) -> pl.Trainer:
        return pl.Trainer(
            max_epochs=1,
            accelerator="gpu" if options.device == "cuda" else "cpu",
            devices=1,
            precision=PRECISIONS[options.precision],  # type: ignore[arg-type]
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=list(callbacks),
        )

    trainer().fit(module, loader(crops[: 2 * options.batch_size]))  # warm-up
    clock = _clock(options.device)
    trainer(clock).fit(module, loader(crops))
    return float(clock.seconds)


def _clock(device: str) -> Any:
    """A callback that times the epoch alone, as it is timed for the other loop: not the set-up of a trainer."""
    import lightning.pytorch as pl

    class Clock(pl.Callback):
        started = seconds = 0.0

        def on_train_epoch_start(self, *_: Any) -> None:
            self.started = time.perf_counter()

        def on_train_epoch_end(self, *_: Any) -> None:
            self.seconds = _elapsed(self.started, device)

    return Clock()


def _elapsed(started: float, device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
