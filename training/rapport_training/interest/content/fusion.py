"""Equations (3) and (4): the tensor fusion of two modalities and the MLP on it, without the outer product of (3).

The MLP's first layer is bilinear in what it multiplies. With W cut at the appended ones,

    W vec([a; 1] (x) [b; 1]) = sum_ij C_hij a_i b_j + U a + V b + c

which is exact. For n items, widths p and q and H hidden units, multiplications forward and numbers kept for the
backward pass:

| form                                 | multiplications              | kept                 |
|--------------------------------------|------------------------------|----------------------|
| literal (3): outer product, then W   | n (p+1)(q+1) (H + 1)         | n (p+1)(q+1)         |
| contracted: (C b), then with a       | n p q H + n p H + n (p+q) H  | n p H                |
| inner outer product: (a (x) b), C    | n p q (H + 1) + n (p+q) H    | n p q                |

W is dense, so that n p q H is the price of all three; what differs is what lies in memory, and that blocks of 64 run
faster than blocks of 65. The contracted form keeps less when H < q, the inner one otherwise: `TensorFusion` takes the
smaller: 0.5 GB in float32 for 2,048 items at p = q = 256. Cheaper than n p q H is only another model: Liu et al. 2018
take a W of low rank. `training/benchmarks/tensor_fusion.py` measures.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TensorFusion(nn.Module):
    """The first linear layer of (4) on (3): (n, p) and (n, q) to (n, hidden).

    Attributes:
        core: C, (hidden, p, q).
        first, second: U and V, (hidden, p) and (hidden, q): the columns of W where the other factor is the appended 1.
        bias: c, (hidden,): the column of 1 times 1, which is a linear layer's bias.
    """

    def __init__(self, p: int, q: int, hidden: int) -> None:
        """Weights as `nn.Linear` draws them for (p + 1)(q + 1) inputs.

        Args:
            p, q: widths of the two factors.
            hidden: units.
        """
        super().__init__()
        bound = 1.0 / math.sqrt((p + 1) * (q + 1))
        self.core, self.first, self.second, self.bias = (
            nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
            for shape in ((hidden, p, q), (hidden, p), (hidden, q), (hidden,))
        )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """W vec([a; 1] (x) [b; 1])."""
        linear = torch.addmm(self.bias, a, self.first.T) + b @ self.second.T
        bilinear = _contracted if len(self.core) < self.core.shape[2] else _inner
        return linear + bilinear(a, b, self.core)

    def literal_weight(self) -> Tensor:
        """W as (3) and (4) have it: (hidden, p + 1, q + 1)."""
        upper = torch.cat([self.core, self.first.unsqueeze(2)], dim=2)
        lower = torch.cat([self.second, self.bias.unsqueeze(1)], dim=1)
        return torch.cat([upper, lower.unsqueeze(1)], dim=1)


class Concatenation(nn.Module):
    """A linear layer on [a; b]: Table 5, without TFN."""

    def __init__(self, p: int, q: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(p + q, hidden)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, p) and (n, q) -> (n, hidden)."""
        return self.linear(torch.cat([a, b], dim=1))


def literal_fusion(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """(3) to the letter, with its outer product; for comparison.

    Args:
        a, b: (n, p) and (n, q).
        weight: (hidden, p + 1, q + 1).
    """
    ones = a.new_ones(len(a), 1)
    product = torch.einsum("ni,nj->nij", torch.cat([a, ones], dim=1), torch.cat([b, ones], dim=1))
    return product.flatten(1) @ weight.flatten(1).T


def _contracted(a: Tensor, b: Tensor, core: Tensor) -> Tensor:
    hidden, p, q = core.shape
    rows = (b @ core.reshape(hidden * p, q).T).view(len(b), hidden, p)
    return torch.bmm(rows, a.unsqueeze(2)).squeeze(2)


def _inner(a: Tensor, b: Tensor, core: Tensor) -> Tensor:
    return (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1) @ core.flatten(1).T
