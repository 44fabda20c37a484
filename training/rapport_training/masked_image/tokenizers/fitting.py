"""`rapport-train tokenizer fit`: from a data set to a tokenizer's file, with a picture and figures beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import msgspec
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch.utils.data.distributed import DistributedSampler

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.dataset import FaceCrops, crop_loader, use_one_opencv_thread
from rapport_training.history import History
from rapport_training.masked_image.tokenizers.base import ImageTokenizerError
from rapport_training.masked_image.tokenizers.loading import save_autoencoder
from rapport_training.masked_image.tokenizers.module import AutoencoderModule
from rapport_training.masked_image.tokenizers.reconstructions import SHOWN, reconstruction_png
from rapport_training.masked_image.tokenizers.settings import TokenizerSettings
from rapport_training.run_folder import LAST
from rapport_training.training_loop import checkpoint_callback, train_in

#: Validation faces that the picture and the figures are made from.
MAX_WATCHED = 1000


class ShowProgress(Callback):
    """Writes picture and figures after every epoch, so that a poor tokenizer is seen early."""

    def __init__(self, watched: FaceCrops, history: History, out: Path, about: dict[str, Any]) -> None:
        self._faces = watched.__getitems__(list(range(min(SHOWN, len(watched))))).crops
        self._history, self._out, self._about = history, out, about

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After validation, and after the history's row of this epoch."""
        assert isinstance(pl_module, AutoencoderModule)
        seconds = round(sum(row["seconds"] for row in self._history.rows), 1)
        figures = {**pl_module.use.as_json(), "epochs": trainer.current_epoch + 1, "seconds": seconds, **self._about}
        pl_module.eval()
        write_atomically(self._out.with_suffix(".png"), reconstruction_png(pl_module.model, self._faces))
        pl_module.train()
        write_atomically(self._out.with_suffix(".json"), (json.dumps(figures, indent=2) + "\n").encode())


def fit_tokenizer(settings: TokenizerSettings, data: Path, out: Path, *, resume: bool = True) -> str:
    """Trains an autoencoder on a data set's crops and writes OUT; returns its SHA-256.

    Beside it come OUT's name with .png (originals above reconstructions), .json (PSNR, codebook use) and .run (curves
    and the checkpoint that a later call continues from).

    Args:
        settings: what to compute.
        data: folder of a data set, as `rapport-train data` writes it.
        out: the tokenizer's file.
        resume: continue an interrupted training; at most one epoch is computed again.

    Raises:
        SettingsError: if settings contradict one another, or the run in the folder had others.
        ImageTokenizerError: if the loss becomes NaN or infinite, or OUT cannot be written.
        TrainingError: if the checkpoint is damaged, or the run's folder cannot be written.
        Interrupted: after Ctrl-C.
        DataSetError: if the data set cannot be read.
    """
    if settings.size % settings.network.factor:
        raise SettingsError(f"crops of {settings.size} pixels do not divide into patches of {settings.network.factor}")
    faces, watched = UserFaces.open(data, "train"), UserFaces.open(data, "val")
    use_one_opencv_thread()
    try:
        run = _begin(settings, faces, out, resume=resume)
        module = _train(settings, faces, watched, run, out)
    except OSError as error:
        raise ImageTokenizerError(f"cannot write beside {out}: {error.strerror or error}") from error
    return save_autoencoder(module.model, out)


def _begin(settings: TokenizerSettings, faces: UserFaces, out: Path, *, resume: bool) -> Path:
    """The run's folder, with the settings that it is for."""
    run = out.with_suffix(".run")
    described = {"settings": msgspec.to_builtins(settings), "data": faces.digest}
    described["settings"].pop("workers")  # changes no number
    if not resume and run.exists():
        shutil.rmtree(run)
    known = run / "settings.json"
    if known.is_file() and json.loads(known.read_text()) != described:
        raise SettingsError(f"{run} holds a training with other settings or data; use another --out or --no-resume")
    run.mkdir(parents=True, exist_ok=True)
    write_atomically(known, json.dumps(described, indent=2).encode())
    return run


def _train(
    settings: TokenizerSettings, faces: UserFaces, watched: UserFaces, run: Path, out: Path
) -> AutoencoderModule:
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    training = FaceCrops(faces, np.arange(len(faces))[: settings.faces], settings.template, seed=None)
    validation = FaceCrops(watched, np.arange(len(watched))[:MAX_WATCHED], settings.template, seed=None)
    batch_size = min(settings.batch_size, len(training))
    sampler = DistributedSampler(training, 1, 0, shuffle=True, seed=settings.seed)  # an order by seed and epoch alone
    loader = crop_loader(training, batch_size, settings.workers, sampler=sampler, drop_last=True)
    module = AutoencoderModule(settings, steps=settings.epochs * len(loader))
    about = {"settings": msgspec.to_builtins(settings), "data": {"name": faces.name, "digest": faces.digest}}
    history = History(run)
    trainer = pl.Trainer(
        max_epochs=settings.epochs,
        devices=1,
        callbacks=[history, ShowProgress(validation, history, out, about), checkpoint_callback(run, LAST)],
        logger=False,
        default_root_dir=run,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    train_in(run, trainer, module, loader, crop_loader(validation, batch_size))
    return module
