"""The model card that travels in a bundle (Mitchell et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rapport_edge.bundle.manifest import ClosedText, DemographicEncoder
from rapport_edge.evaluation import Report
from rapport_edge.evaluation.report import GroupFigures
from rapport_training.demographic.captions import OWN_CAPTION, SENTENCE
from rapport_training.demographic.model import model_config
from rapport_training.demographic.recipe import Recipe

if TYPE_CHECKING:
    from rapport_training.demographic.export import Trained

CARD_NAME = "MODEL_CARD.md"

_HEAD = """# {name} {version}

A CLIP-style dual encoder: an image tower ({tower}, {size} x {size} pixels, aligned by five landmarks) and a
text tower, trained together with the bidirectional contrastive loss of "Demographic User Modeling for
Social Robotics with Multimodal Pre-trained Models" (Rahimi et al., equations 1 to 3) {start}{extras}. The bundle
carries the image tower and the text embeddings of prompts for {attributes}. {race}

## Intended use

A social robot's guess at the apparent age group and apparent gender of the person in front of it, to choose a
tone, always as one guess among others: with its probabilities, and with "unknown" as an answer. "Gender" is
what annotators of photographs wrote, in two categories; it is not what a person is. Not for access control, age
verification, surveillance, hiring, or any decision with consequences for a person.

## Data

{dataset}, {licence}. {attribution}. At most {epochs} epochs on its training split; the validation split chose the
weights and calibrates the heads. Race labels were used in captions during training and to measure the gaps below.
"""

_RACE = "It has a head for race: a robot refuses it without an operator's policy (AI Act, Article 5(1)(g))."
_NO_RACE = "It has no head for race or ethnicity."

_TEXT = """
## Sentences

The bundle carries the text tower, so that a robot can find the persons it knows, who agreed to that, by a sentence such
as "{example}". {vocabulary} A cosine between a sentence and a face ranks persons; it is no probability, and the first
of a list may still fit badly.
"""

_CLOSED = (
    "It knows {count} words, about gender and age and to hold a sentence together; what it was taught about others is "
    'not in the file. Words that it does not know are left out and named, so "not" does not negate.'
)
_OPEN = (
    "It knows every word, so it can be asked for what the law protects: without an operator's policy a robot refuses "
    "it."
)

_UNKNOWN = """
## Unknown

The age is "unknown" when the standard deviation of its distribution is above {std:g} years, the gender when its most
probable label is below {below:g}. Accuracies are over all faces, as if nothing were unknown.
"""

_EXPORT = """
## Export

The graphs answer as PyTorch does, with the same weights, to {parity:.1g} of an embedding's length, on real faces and
sentences.{rounding}
"""


def model_card(manifest: DemographicEncoder, trained: Trained, report: Report | None) -> str:
    """Markdown; without a report it says that the model has not been measured."""
    recipe = trained.recipe
    parts = [
        _head(manifest, recipe),
        _sentences(manifest),
        _UNKNOWN.format(std=recipe.unknown.age_above_std, below=recipe.unknown.gender_below),
        _EXPORT.format(parity=trained.parity, rounding=_rounding(trained)),
        _figures(report, manifest.metrics[0].split) if report else "\n## Figures\n\nNot measured.\n",
    ]
    return "".join(parts)


def _head(manifest: DemographicEncoder, recipe: Recipe) -> str:
    dataset, names = manifest.datasets[0], [head.name for head in manifest.attributes]
    return _HEAD.format(
        name=manifest.name,
        version=manifest.version,
        tower=_tower(recipe),
        size=manifest.crop.size,
        start=f"from {recipe.weights}" if recipe.weights else "from random weights",
        extras=_extras(recipe),
        attributes=" and ".join(names),
        race=_RACE if "race" in names else _NO_RACE,
        dataset=dataset.name,
        licence=dataset.licence,
        attribution=dataset.attribution or "No attribution is asked for",
        epochs=recipe.epochs,
    )


def _tower(recipe: Recipe) -> str:
    if isinstance(recipe.model, str):
        return f"open_clip's {recipe.model}"
    vision = model_config(recipe.model)["vision_cfg"]
    return str(vision.get("timm_model_name", f"vision transformer, patches of {vision.get('patch_size', 32)} pixels"))


def _extras(recipe: Recipe) -> str:
    """What the captions are and what the recipe adds to the paper's loss, as the end of a sentence."""
    views = recipe.used_views
    text = ",\non the data set's own captions" if OWN_CAPTION in views else ",\non captions made from labels"
    if any(view not in (OWN_CAPTION, SENTENCE) for view in views):
        text += ", on the same cut down to single attributes"
    if SENTENCE in views:
        text += ", on gender and age in many wordings"
    if recipe.masked_image:
        text += ", with masked image modelling (equations 4 and 5)"
    return text + (", and with a term for the error of the expected age" if recipe.age_error > 0 else "")


def _sentences(manifest: DemographicEncoder) -> str:
    text = manifest.text
    if text is None:
        return ""
    vocabulary = _CLOSED.format(count=len(text.words)) if isinstance(text, ClosedText) else _OPEN
    return _TEXT.format(example=text.sentences[0], vocabulary=vocabulary)


def _rounding(trained: Trained) -> str:
    if not trained.options.half_weights:
        return " Weights are stored as they were trained."
    moved = f"{trained.rounding:.1g} of its length."
    return f"\nLarge weights are stored as float16, which moves an embedding by up to {moved}"


def _figures(report: Report, measured_on: str) -> str:
    lines = ["", f"## Figures, {report.n} faces of {measured_on} ({report.missed} not found by the detector)", ""]
    lines.append(f"{'; '.join(_overall(report))}; unknown {report.unknown_rate:.3f}.")
    lines += ["", "| group | faces | gender accuracy | age error, years | age bin accuracy |", "|---|---|---|---|---|"]
    for column, groups in report.groups.items():
        lines += [f"| {column}: {label} | {group.n} | {_cells(group)} |" for label, group in groups.items()]
    return "\n".join(lines) + "\n"


def _overall(report: Report) -> Sequence[str]:
    """Only what the bundle has heads for."""
    parts = []
    if report.gender_accuracy is not None:
        parts.append(f"Gender accuracy {report.gender_accuracy:.3f} (ECE {report.gender_ece:.3f})")
    if report.age_mae is not None:
        parts.append(
            f"age: mean error {report.age_mae:.2f} years to the middle of the true bin, bin accuracy "
            f"{report.age_bin_accuracy:.3f} (ECE {report.age_ece:.3f}), 80 % interval covers "
            f"{report.age_interval_coverage:.3f}"
        )
    return parts


def _cells(group: GroupFigures) -> str:
    values = (group.gender_accuracy, group.age_mae, group.age_bin_accuracy)
    return " | ".join(
        "" if value is None else f"{value:.{digits}f}" for value, digits in zip(values, (3, 2, 3), strict=True)
    )
