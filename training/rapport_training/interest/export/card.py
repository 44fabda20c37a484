"""The model card that travels in an interest-ranker bundle (Mitchell et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rapport_edge.bundle.manifest import InterestRanker
from rapport_training.interest.ctr.metrics import CtrMetrics
from rapport_training.interest.ctr.recipe import CtrRecipe

CARD_NAME: Final = "MODEL_CARD.md"


@dataclass(frozen=True)
class CardFacts:
    """What a card says besides what the model itself tells.

    Attributes:
        name, version: of the bundle.
        licence: of the data, and so of the weights.
        metrics: on the test split; None: not measured.
        leakage: the leakage check, as printed by `rapport-train interest evaluate`.
    """

    name: str
    version: str
    licence: str
    metrics: CtrMetrics | None = None
    leakage: str = ""


_HEAD = """# {name} {version}

Orders content items by one person's predicted interest. User-behaviour model: {model}. {mim}

## Intended use

A social robot's choice of what to suggest next: a story, a game, an exhibit, a song. The input is what the person
chose before, if they agreed that it is kept, and the candidates. A score is comparable within one ranking only; it is
no probability that the person will like the item, because it was trained on data with its own share of negatives. Not
for decisions with consequences for a person.

## Data

{data}, {licence}. Protocol: {protocol}.

## Input

Histories of at most {length} events; of a longer one the most recent count. Item fields: {items}. User fields: {users}.
{unknown}
"""

_MIM = """With MIM's modules: {modules} ("Multi-modal Content Interest Modeling Paradigm for User Behavior Modeling",
Section 3.4). Embeddings of {dimension} numbers by the encoder {encoder} lie beside the model."""

_UNKNOWN_CONTENT = "An item that training did not have is ranked by its fields and its content."
_UNKNOWN_FIELDS = "An item that training did not have is ranked by its fields alone."
_USER_IDS = (
    " The user's id is a feature: a person that training did not have, as everybody whom a robot meets, has the "
    "embedding of an unknown one{trained}."
)

_EXPORT = """
## Export

The graph scores as training does, to {parity:.1g} on random and real histories.{rounding}
"""


def model_card(manifest: InterestRanker, recipe: CtrRecipe, facts: CardFacts, parity: float, rounding: float) -> str:
    """Markdown.

    Args:
        manifest: of the bundle.
        recipe: that the model was trained with.
        facts: see there.
        parity: largest difference of a score to training's.
        rounding: how far float16 embeddings move a score at most.
    """
    head = _HEAD.format(
        name=manifest.name,
        version=manifest.version,
        model=recipe.model,
        mim=_mim(manifest, recipe),
        data=manifest.datasets[0].name,
        licence=facts.licence,
        protocol=manifest.protocol,
        length=manifest.history_length,
        items=", ".join(field.name for field in manifest.item_fields),
        users=", ".join(field.name for field in manifest.user_fields) or "none",
        unknown=_unknown(manifest, recipe),
    )
    moved = f"\nItem embeddings are stored as float16, which moves a score by at most {rounding:.1g} there."
    export = _EXPORT.format(parity=parity, rounding=moved if manifest.content is not None else "")
    return head + export + _figures(manifest, facts)


def _mim(manifest: InterestRanker, recipe: CtrRecipe) -> str:
    if manifest.content is None:
        return "Without content: items are known by their ids and fields."
    switched = {"ID interest": recipe.modules.id, "content interest": recipe.modules.content}
    switched["fusion interest"] = recipe.modules.fusion
    return _MIM.format(
        modules=", ".join(name for name, on in switched.items() if on),
        dimension=manifest.content.dimension,
        encoder=manifest.content.encoder[:12],
    )


def _unknown(manifest: InterestRanker, recipe: CtrRecipe) -> str:
    text = _UNKNOWN_FIELDS if manifest.content is None else _UNKNOWN_CONTENT
    if not recipe.use_user_id:
        return text
    trained = "" if recipe.unknown_share > 0 else ", which was never trained (unknown_share is 0)"
    return text + _USER_IDS.format(trained=trained)


def _figures(manifest: InterestRanker, facts: CardFacts) -> str:
    if not manifest.metrics:
        return "\n## Figures\n\nNot measured.\n"
    lines = ["", f"## Figures, {manifest.metrics[0].n:,} samples of {manifest.metrics[0].split}", ""]
    lines += [f"Protocol: {manifest.protocol}.", "", "| figure | value |", "|---|---|"]
    lines += [f"| {metric.name} | {metric.value:.4f} |" for metric in manifest.metrics]
    return "\n".join([*lines, "", facts.leakage, ""])
