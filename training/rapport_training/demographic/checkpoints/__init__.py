"""Weights from files: CLIP's in three layouts, FaRL's, and those of this project's own runs.

`load_weights(model, path)` puts a file's weights into a model, all of them or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapport_training.demographic.checkpoints.errors import CheckpointError

if TYPE_CHECKING:
    from rapport_training.demographic.checkpoints.loading import LoadedCheckpoint, load_weights

__all__ = ["CheckpointError", "LoadedCheckpoint", "load_weights"]


def __getattr__(name: str) -> Any:
    """Imports open_clip only when weights are loaded: this package also holds a command, whose help must be quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rapport_training.demographic.checkpoints import loading

    return getattr(loading, name)
