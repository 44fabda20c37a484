"""Prompts of the zero-shot heads: several wordings per label, whose embeddings are averaged (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rapport_edge.faces import FloatArray
from rapport_edge.labels import AGE_BINS, AGE_EDGES, GENDERS, RACES, bin_middles
from rapport_training.demographic.captions import FAIRUSER, caption

LABELS: Mapping[str, tuple[str, ...]] = {"age": AGE_BINS, "gender": GENDERS, "race": RACES}

Prompts = dict[str, tuple[str, ...]]
EmbedTexts = Callable[[Sequence[str]], FloatArray]


def short_prompts(attribute: str) -> Prompts:
    """Sentences that speak of the attribute alone, by label."""
    if attribute == "age":
        return {name: _age_sentences(index) for index, name in enumerate(AGE_BINS)}
    if attribute == "gender":
        return {name: _sentences(name.lower()) for name in GENDERS}
    return {name: _sentences(name.lower().replace("_", " or ")) for name in RACES}


def caption_prompts(attribute: str) -> Prompts:
    """FairUser's captions of all people with the label: what a model that was fine-tuned on them has read."""
    return {label: tuple(_captions_of(attribute, label)) for label in LABELS[attribute]}


#: Ensembles by name; which one serves a model is decided on the validation split.
ENSEMBLES: Mapping[str, Callable[[str], Prompts]] = {"short sentences": short_prompts, "captions": caption_prompts}


def embed_prompts(prompts: Prompts, embed: EmbedTexts) -> FloatArray:
    """(k, d) unit vectors, one per label: the mean over the label's wordings, made unit length again."""
    rows = [embed(wordings).mean(axis=0) for wordings in prompts.values()]
    means = np.stack(rows)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


def _sentences(word: str) -> tuple[str, ...]:
    return (f"The person appears to be {word}", f"a photo of a {word} person", f"the face of a {word} person")


def _age_sentences(index: int) -> tuple[str, ...]:
    low, high = int(AGE_EDGES[index]), int(AGE_EDGES[index + 1]) - 1
    return (
        caption("age", race="", gender="", age=AGE_BINS[index]),
        f"a photo of a person who is {low} to {high} years old",
        f"a photo of a person of about {bin_middles(AGE_EDGES)[index]:.0f} years",
    )


def _captions_of(attribute: str, label: str) -> list[str]:
    chosen = {name: (label,) if name == attribute else labels for name, labels in LABELS.items()}
    return [
        FAIRUSER.format(race=race.lower(), gender=gender.lower(), age=age)
        for race in chosen["race"]
        for gender in chosen["gender"]
        for age in chosen["age"]
    ]
