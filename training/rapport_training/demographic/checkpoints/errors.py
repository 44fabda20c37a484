"""What is wrong with a checkpoint."""

from __future__ import annotations

from rapport_edge.errors import RapportError


class CheckpointError(RapportError):
    """A file that holds no weights, more than weights, or the weights of another model."""
