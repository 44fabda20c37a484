"""Negatives from the last k batches of all processes (Section 3.3, ST-NSG)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NegativeQueue(nn.Module):
    """A ring of the last k batches' vectors, without gradients; part of the checkpoint.

    A batch of N triplets <q, i, i-> on each of P processes leaves 2 N P items, i and i- of each. With the newest batch
    itself a query is compared with 2 N P (k + 1) items: its positive and 2 N P (k + 1) - 1 negatives, once k batches
    have passed. Every process keeps all of it, so that nothing but the newest batch travels. A vector is as old as its
    batch, and the towers have moved on since.

    Published towers at a small learning rate move little. Towers from random weights move much, and only negatives are
    old: on MovieLens 100K, compact towers at 1e-3 with k = 10 brought the loss far below chance in 30 steps (7.1 of
    8.63 nats) by drifting, and back to chance as the rate decayed, all vectors alike. With k = 0 they learn. Giving old
    batches the newest one's mean and deviation (XBN, Ajanthan et al. 2023) took the shortcut away, not the collapse.

    Attributes:
        ids: (k, m) int64, the items; -1 where no batch has been yet.
        vectors: (k, m, levels, d) float32.
        next: (1,) int64, which batch is replaced next.
    """

    def __init__(self, batches: int, items: int, levels: int, width: int) -> None:
        """An empty queue.

        Args:
            batches: k; 0 keeps nothing.
            items: m = 2 N P of a batch.
            levels: vectors of an item: h^MM, and h^txt and h^img where (6) has them.
            width: d.
        """
        super().__init__()
        self.register_buffer("ids", torch.full((batches, items), -1))
        self.register_buffer("vectors", torch.zeros(batches, items, levels, width))
        self.register_buffer("next", torch.zeros(1, dtype=torch.int64))

    def content(self) -> tuple[Tensor, Tensor]:
        """(n,) items and (n, levels, d) vectors of the batches that have been."""
        filled = self.ids[:, :1].flatten() >= 0
        return self.ids[filled].flatten(), self.vectors[filled].flatten(0, 1)

    @torch.no_grad()
    def push(self, ids: Tensor, vectors: Tensor) -> None:
        """Puts a batch of all processes in the place of the oldest.

        Args:
            ids: (m,).
            vectors: (m, levels, d).
        """
        if len(self.ids) == 0:
            return
        place = int(self.next)
        self.ids[place] = ids
        self.vectors[place] = vectors.detach()
        self.next.fill_((place + 1) % len(self.ids))
