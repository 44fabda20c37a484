"""Embeddings of a data set's splits, computed once per model and kept."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.atomic import write_atomically
from rapport_edge.faces import FloatArray
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.dual_encoder import DualEncoder


def digest_of(encoder: DualEncoder) -> str:
    """SHA-256 over all that decides an embedding: weights, crop, pixels and the tokenizer's context."""
    state = encoder.model.state_dict()
    hasher = hashlib.sha256()
    hasher.update(repr((encoder.template, encoder.pixels, getattr(encoder.tokenizer, "context_length", 0))).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return hasher.hexdigest()


@dataclass(frozen=True)
class EmbeddingCache:
    """A folder of embeddings by model, data set and rows.

    Attributes:
        folder: made when it is needed; None keeps nothing.
        workers: processes that decode pictures, 0 for this one.
    """

    folder: Path | None
    workers: int = 0

    def faces(
        self, encoder: DualEncoder, digest: str, faces: UserFaces, rows: NDArray[np.int64] | None = None
    ) -> FloatArray:
        """(n, d) unit vectors of all faces, or of those of `rows`.

        Args:
            encoder: embeds what is not there.
            digest: of `encoder`.
            faces: a split.
            rows: which of its faces.
        """
        chosen = np.arange(len(faces)) if rows is None else rows
        key = hashlib.sha256(msgspec.json.encode([digest, faces.digest, chosen.tolist()])).hexdigest()
        kept = self._read(key, len(chosen))
        if kept is not None:
            return kept
        embeddings = encoder.embed_faces(faces, chosen, workers=self.workers)
        self._write(key, embeddings)
        return embeddings

    def _read(self, key: str, count: int) -> FloatArray | None:
        if self.folder is None:
            return None
        try:
            found = np.load(self.folder / f"{key}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):  # absent or damaged: computed again
            return None
        return found if found.ndim == 2 and len(found) == count else None

    def _write(self, key: str, embeddings: FloatArray) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, embeddings, allow_pickle=False)
        write_atomically(self.folder / f"{key}.npy", buffer.getvalue())
