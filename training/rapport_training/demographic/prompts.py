"""The sentences that stand for a label in a zero-shot head."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product

import numpy as np
import torch

from rapport_edge.errors import SettingsError
from rapport_edge.faces import FloatArray
from rapport_edge.labels import AGE_BINS, GENDERS, RACES
from rapport_training.demographic.captions import caption
from rapport_training.demographic.model import CLIP, Tokenizer, encode_prompts

#: Labels by the attributes that a bundle can have a head for.
LABELS: Mapping[str, Sequence[str]] = {"age": AGE_BINS, "gender": GENDERS, "race": RACES}

#: The view that speaks of an attribute alone.
_OWN_VIEWS = ("age", "gender")


def prompts_of(attribute: str, views: Collection[str]) -> dict[str, tuple[str, ...]]:
    """For each label the sentences whose mean embedding stands for it.

    A model that was trained on sentences about the attribute alone gets that sentence; any other gets the paper's
    caption, with every value of what else it speaks of.

    Args:
        attribute: a key of `LABELS`.
        views: that the model was trained on.

    Raises:
        SettingsError: for another attribute.
    """
    if attribute not in LABELS:
        raise SettingsError(f"there is no attribute {attribute!r}; a bundle can have {', '.join(LABELS)}")
    alone = attribute in _OWN_VIEWS and attribute in views
    return {label: (_short(attribute, label),) if alone else _full(attribute, label) for label in LABELS[attribute]}


def embed_prompts(model: CLIP, tokenizer: Tokenizer, prompts: Mapping[str, Sequence[str]]) -> FloatArray:
    """(k, d) float32 unit vectors, the mean embedding of each label's sentences."""
    means = [encode_prompts(model, tokenizer, list(sentences)).mean(dim=0) for sentences in prompts.values()]
    vectors = torch.nn.functional.normalize(torch.stack(means), dim=-1)
    return np.asarray(vectors.cpu().numpy(), dtype=np.float32)


def _short(attribute: str, label: str) -> str:
    return caption(attribute, race="", gender=label, age=label)


def _full(attribute: str, label: str) -> tuple[str, ...]:
    choices = [(label,) if name == attribute else tuple(LABELS[name]) for name in ("race", "gender", "age")]
    return tuple(caption("fairuser", race=race, gender=gender, age=age) for race, gender, age in product(*choices))
