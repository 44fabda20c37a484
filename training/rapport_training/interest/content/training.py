"""What pre-training and C-SFT share: Lightning's trainer, optimizer, loader, and where a step's chances come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from rapport_edge.errors import SettingsError
from rapport_training.distributed import gather
from rapport_training.errors import TrainingError
from rapport_training.history import History
from rapport_training.interest.content.recipe import Optimisation
from rapport_training.run_folder import BEST, LAST
from rapport_training.training_loop import checkpoint_callback, placement


class Rows(Dataset[Tensor]):
    """Numbers 0 to n - 1, a batch at a time: what stands at a row is looked up in the step, each item once."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Tensor:
        return torch.tensor(index)

    def __getitems__(self, indices: list[int]) -> Tensor:
        """The rows of a batch."""
        return torch.tensor(indices)


class LateLoader(DataLoader[Tensor]):
    """Draws the order when the first batch is asked for: Lightning makes a resumed run's iterator before the epoch."""

    def __iter__(self) -> Iterator[Tensor]:  # type: ignore[override]
        yield from super().__iter__()


def row_loader(count: int, settings: Optimisation, seed: int, trainer: pl.Trainer, what: str) -> DataLoader[Tensor]:
    """Each process's share of every batch, in an order that follows from seed and epoch alone.

    Args:
        count: rows.
        settings: batch_size, of all processes together; fewer rows than that make one batch of all.
        seed: of the order.
        trainer: knows the processes.
        what: rows are, for an error.

    Raises:
        SettingsError: if there are too few rows, or processes cannot share a batch evenly.
    """
    world = trainer.world_size
    batch = min(settings.batch_size, count // world * world)
    if batch < 2 * world:
        raise SettingsError(f"{count} {what} are too few to train on with {world} processes")
    if batch % world:
        raise SettingsError(f"{world} processes cannot share a batch of {batch} evenly; take another batch_size")
    rows = Rows(count)
    # Not shuffled by the sampler: its shares of a batch would be other rows for another number of processes.
    sampler = BatchShares(count, batch, seed, world, trainer.global_rank)
    return LateLoader(rows, batch // world, sampler=sampler, drop_last=True, collate_fn=lambda batch: batch)


class BatchShares(DistributedSampler[Tensor]):
    """A permutation by seed and epoch, cut into batches; of each a process gets every world-th row.

    So a batch holds the same rows whatever the number of processes.
    """

    def __init__(self, count: int, batch: int, seed: int, world: int, rank: int) -> None:
        super().__init__(Rows(count), world, rank, shuffle=True, seed=seed, drop_last=True)
        self._batches, self._batch = count // batch, batch

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.dataset))  # type: ignore[arg-type]
        mine = order[: self._batches * self._batch].reshape(self._batches, self._batch)[
            :, self.rank :: self.num_replicas
        ]
        yield from mine.ravel().tolist()

    def __len__(self) -> int:
        return self._batches * self._batch // self.num_replicas


def make_trainer(
    run: Path, epochs: int, settings: Optimisation, devices: int | str, *, patience: int = 0, unused: bool = False
) -> pl.Trainer:
    """A trainer that logs into, keeps checkpoints in and resumes from a run folder.

    Args:
        run: the folder.
        epochs: of the whole training.
        settings: precision and clipping.
        devices: a number or "auto"; under torchrun its processes are taken instead.
        patience: epochs without a lower val/loss before it stops; 0 for none.
        unused: some steps leave parameters out.
    """
    callbacks: list[Callback] = [History(run), checkpoint_callback(run, LAST)]
    if patience:
        callbacks.append(EarlyStopping("val/loss", patience=patience, check_on_train_epoch_end=False))
        callbacks.append(checkpoint_callback(run, BEST, monitor="val/loss"))
    place = placement(devices)
    several = place["num_nodes"] > 1 or (isinstance(place["devices"], int) and place["devices"] > 1)
    on_gpu = torch.cuda.is_available()
    return pl.Trainer(
        max_epochs=epochs,
        **place,
        strategy="ddp_find_unused_parameters_true" if unused and (several or on_gpu) else "auto",
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.gradient_clip or None,
        sync_batchnorm=on_gpu,
        callbacks=callbacks,
        logger=False,
        default_root_dir=run,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def adamw(module: nn.Module, settings: Optimisation, *phases: int) -> Any:
    """AdamW without decay of biases, norms and the temperature; warm-up and cosine by step, anew in each phase.

    Args:
        module: what is trained.
        settings: see `Optimisation`.
        phases: steps of each; the training is all of them.
    """
    from rapport_training.demographic.module import warmup_cosine

    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = not (settings.gradient_clip and settings.precision.endswith("-mixed"))
    optimizer = AdamW(groups, lr=settings.learning_rate, fused=fused)

    def factor(step: int) -> float:
        for steps in phases[:-1]:
            if step < steps:
                return warmup_cosine(step, min(settings.warmup_steps, steps // 4), steps)
            step -= steps
        return warmup_cosine(step, min(settings.warmup_steps, phases[-1] // 4), phases[-1])

    schedule = LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def everyones(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of all processes, sorted, and where this process's are among them.

    What is drawn for them in this order, by a generator that all processes share, is the same for any number of them.
    """
    together = gather(rows).sort().values
    return together, torch.searchsorted(together, rows)


def refuse_nonsense(loss: Tensor, step: int) -> None:
    """Stops before a checkpoint holds what a loss that is no number leads to.

    Raises:
        TrainingError: if it is not finite.
    """
    if not torch.isfinite(loss):
        raise TrainingError(
            f"the loss is {float(loss)} at step {step}; the run's checkpoints are from before. A lower learning_rate "
            "or more warmup_steps usually help"
        )
