"""Lightning's loop around a run folder: it goes on where it stopped, and ends with a sentence where it cannot."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from rapport_training.allocator import keep_freed_memory
from rapport_training.errors import TrainingError
from rapport_training.interruption import ctrl_c_means_later
from rapport_training.run_folder import LAST, mark_finished


def train_in(run: Path, trainer: pl.Trainer, module: pl.LightningModule, *data: Any) -> None:
    """Trains from the newest checkpoint of a run folder, or from the start, and marks the run finished.

    Args:
        run: the folder (`run_folder.begin`).
        trainer: keeps its checkpoints there (`checkpoint_callback`).
        module: what is trained.
        data: loaders or a data module, as `Trainer.fit` takes them.

    Raises:
        TrainingError: if the checkpoint is damaged, or the folder cannot be written.
        Interrupted: after Ctrl-C.
    """
    last = run / "checkpoints" / LAST
    if last.is_file() and not zipfile.is_zipfile(last):
        raise TrainingError(f"{last} is damaged; remove it to begin anew, or copy a whole one to its place")
    try:
        with ctrl_c_means_later(trainer, run):
            trainer.fit(module, *data, ckpt_path=str(last) if last.is_file() else None)
            if trainer.is_global_zero:
                mark_finished(run)
    except (OSError, RuntimeError) as error:
        if not _is_about_writing(error):
            raise
        raise TrainingError(
            f"cannot write into {run}: {error}. What was there before is whole; free some space and run the same "
            "command again"
        ) from error


def checkpoint_callback(run: Path, name: str, **options: Any) -> ModelCheckpoint:
    """Keeps one checkpoint of that name at the end of epochs.

    Args:
        run: the folder.
        name: `run_folder.LAST` or `run_folder.BEST`.
        options: of `ModelCheckpoint`, such as `monitor`.
    """
    return ModelCheckpoint(
        run / "checkpoints",
        filename=Path(name).stem,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        **options,
    )


def placement(devices: int | str) -> dict[str, Any]:
    """`Trainer`'s `devices` and `num_nodes`: under torchrun its processes are taken, whatever was asked for.

    Also shares the cores among processes on one machine, unless OMP_NUM_THREADS says how; where the CPU trains, memory
    that tensors free is kept.
    """
    if not torch.cuda.is_available():
        keep_freed_memory()
    local = os.environ.get("LOCAL_WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    count = int(local) if local else devices
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // (count if isinstance(count, int) else 1)))
    return {"devices": count, "num_nodes": int(os.environ.get("GROUP_WORLD_SIZE", "1")) if local else 1}


def _is_about_writing(error: Exception) -> bool:
    """A full disk or a forbidden folder; torch reports it as RuntimeError."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO}
    return "PytorchStreamWriter" in str(error)
