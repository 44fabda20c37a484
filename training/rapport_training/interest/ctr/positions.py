"""Where the behaviours of a batch lie: packed for training, padded for export.

Behaviour models are written once, over these few operations, and so cannot see padding: a packed batch has none, and
a padded one's sums and softmaxes leave it out.

P stands for the shape of positions: (N,) packed, where N is the number of behaviours of the whole batch, and (B, L)
padded. A padded history of batch 1 belongs to every row: one user's history, many candidates. S is the shape of scores
by head, as each can best compute with them: (N, H) packed, (H, B, L) padded.
"""

from __future__ import annotations

from rapport_training.interest.ctr.packed import Packed
from rapport_training.interest.ctr.padded import Padded

__all__ = ["Packed", "Padded", "Positions"]

Positions = Packed | Padded
