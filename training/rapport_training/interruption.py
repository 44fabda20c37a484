"""Ctrl-C ends a training between two steps, with a sentence.

Python raises KeyboardInterrupt wherever the program happens to be. Inside of a destructor it is printed and dropped,
and the training would go on as if nobody had asked. So the signal is only noted, and the loop asks between steps.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from rapport_training.errors import Interrupted

_NOTED = b"\nstopping before the next step; Ctrl-C again stops at once\n"


class _StopBetweenSteps(pl.Callback):
    """Notes Ctrl-C, and raises before the next step: what an epoch's last step leads to is still written."""

    def __init__(self) -> None:
        self.asked = False
        self._process = os.getpid()

    def note(self, _signal: int, _frame: FrameType | None) -> None:
        """The signal's handler."""
        if os.getpid() != self._process:
            return  # a loader's process, which serves until the training has stopped
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if rank_zero_only.rank == 0:
            os.write(2, _NOTED)  # not print: it may be what was interrupted

    def on_train_batch_start(self, *_: Any) -> None:
        """Stops, if asked."""
        self._stop_if_asked()

    def on_validation_batch_start(self, *_: Any) -> None:
        """Stops, if asked."""
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        # The others are ended by it: one that left by itself would break the exchange that the first one waits in.
        if self.asked and rank_zero_only.rank == 0:
            raise KeyboardInterrupt


@contextmanager
def ctrl_c_means_later(trainer: pl.Trainer, run: Path) -> Iterator[None]:
    """Around `trainer.fit`. Outside of the main thread, which alone is told of signals, nothing changes.

    Args:
        trainer: gets a callback.
        run: the folder that the same command goes on from.

    Raises:
        Interrupted: after Ctrl-C, also where the training had just ended: what follows is not begun.
    """
    stop = _StopBetweenSteps()
    trainer.callbacks.insert(0, stop)
    with _handler(stop):
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as error:  # Lightning leaves the process after Ctrl-C
            raise Interrupted(f"stopped; the same command goes on from {run}'s last whole epoch") from error
    if stop.asked:
        raise Interrupted(f"stopped when {run} was finished")


@contextmanager
def _handler(stop: _StopBetweenSteps) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop.note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
