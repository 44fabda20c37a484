"""Behaviour sequence transformer (Chen et al. 2019, "Behavior Sequence Transformer for E-commerce Recommendation")."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_training.interest.ctr.behaviour_time import BUCKETS, time_buckets
from rapport_training.interest.ctr.dropout import Dropout
from rapport_training.interest.ctr.models.interest import Answer, Behaviours
from rapport_training.interest.ctr.positions import Positions
from rapport_training.interest.ctr.token_sequence import TokenSequence, token_sequence


@dataclass(frozen=True)
class BstSettings:
    """Sizes.

    Attributes:
        position: "order" or "age", see `time_buckets`.
        position_dim: of a place's embedding.
        heads, layers: of the transformer.
        dropout: after attention and feed-forward network.
        attention_dropout: of the attention's weights.
        pooling: "mean" or "target".
    """

    position: str
    position_dim: int
    heads: int
    layers: int
    dropout: float
    attention_dropout: float
    pooling: str


class Bst(nn.Module):
    """A transformer over the behaviours and the target, which is one of the sequence, as in Fig. 1.

    Each item's embedding stands beside that of its place or its age (Section 2.1); the target's is 0. The outputs
    become one vector by their mean, or the target's own is taken: histories differ in length, where the paper's
    concatenation needs one.

    Attributes:
        dimension: E' = E + position_dim.
    """

    def __init__(self, embedding: int, settings: BstSettings) -> None:
        super().__init__()
        self.dimension = embedding + settings.position_dim
        self._settings = settings
        self.places = nn.Embedding(BUCKETS, settings.position_dim)
        self.blocks = nn.ModuleList(Block(self.dimension, settings) for _ in range(settings.layers))
        with torch.no_grad():
            self.places.weight.copy_(sinusoids(BUCKETS, settings.position_dim))

    def forward(self, behaviours: Behaviours) -> Answer:
        """(B, E')."""
        places = self.places(time_buckets(behaviours, self._settings.position))
        own = self.places.weight[0].expand(behaviours.target.shape[0], -1)
        history = torch.cat([behaviours.history, places.expand(*behaviours.history.shape[:-1], -1)], dim=-1)
        return self._pooled(history, torch.cat([behaviours.target, own], dim=-1), behaviours.at), None

    def _pooled(self, history: Tensor, target: Tensor, at: Positions) -> Tensor:
        """P (E') and (B, E') -> (B, E')."""
        only_target = self._settings.pooling == "target"
        whole = self.blocks[:-1] if only_target else self.blocks
        if len(whole):
            sequence = token_sequence(at)
            tokens = sequence.join(history, target)
            for block in whole:
                tokens = block(tokens, sequence)
            history, target = sequence.split(tokens)
        if only_target:
            return self.blocks[-1].of_target(history, target, at)
        return (at.total(history) + target) / (at.lengths + 1)[:, None]


class Block(nn.Module):
    """One transformer layer, equations (4) to (7): attention and feed-forward network, each added and normalised."""

    def __init__(self, size: int, settings: BstSettings) -> None:
        super().__init__()
        self._heads = settings.heads
        self.inputs = nn.Linear(size, 3 * size)
        self.outputs = nn.Linear(size, size)
        self.network = nn.Sequential(nn.Linear(size, size), nn.LeakyReLU(), nn.Linear(size, size))
        self.dropout = Dropout(settings.dropout)
        self.attention_dropout = Dropout(settings.attention_dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))

    def forward(self, tokens: Tensor, sequence: TokenSequence) -> Tensor:
        """T (E') -> the same."""
        return self._after(tokens, sequence.attend(self.inputs(tokens), self._attention))

    def of_target(self, history: Tensor, target: Tensor, at: Positions) -> Tensor:
        """P (E') and (B, E') -> (B, E'): what `forward` gives for the target alone.

        Of the behaviours only keys and values are computed, which do not depend on the target: once for all
        candidates that share a history.
        """
        size, heads = target.shape[-1], (self._heads, -1)
        query, own_key, own_value = self.inputs(target).chunk(3, dim=-1)
        keys, values = F.linear(history, self.inputs.weight[size:], self.inputs.bias[size:]).chunk(2, dim=-1)
        query = query * (size // self._heads) ** -0.5
        own_scores = torch.linalg.vecdot(query.unflatten(-1, heads), own_key.unflatten(-1, heads))
        scores = at.products(query, keys, self._heads)
        weights, own_weights = map(self.attention_dropout, at.softmax_with(scores, own_scores))
        own = (own_value.unflatten(-1, heads) * own_weights[..., None]).flatten(-2)
        return self._after(target, at.weighted(weights, values) + own)

    def _after(self, tokens: Tensor, attended: Tensor) -> Tensor:
        """What comes after attention."""
        tokens = self.norms[0](tokens + self.dropout(self.outputs(attended)))
        return self.norms[1](tokens + self.dropout(self.network(tokens)))

    def _attention(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(b, L, 3 E') queries, keys and values, and (b, L) True for tokens -> (b, L, E')."""
        heads = self._heads
        query, key, value = inputs.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        # On CPUs, torch's fused attention takes half as long again for sequences of twenty.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        weights = scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min).softmax(dim=-1)
        found = self.attention_dropout(weights) @ value
        return found.transpose(1, 2).flatten(-2)


def sinusoids(places: int, size: int) -> Tensor:
    """(places, size) start of the places' embeddings, as in the transformer (Vaswani et al. 2017, Section 3.5)."""
    rate = 10_000 ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(places)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :size]
