"""The model card that travels in a bundle (Mitchell et al. 2019)."""

from __future__ import annotations

from rapport_edge.bundle.manifest import DemographicEncoder
from rapport_edge.evaluation import Report
from rapport_training.demographic.recipe import Recipe

_HEAD = """# {name} {version}

A CLIP-style dual encoder: an image tower ({tower}, {size} x {size} pixels, aligned by five landmarks) and a
small text tower, trained together with the bidirectional contrastive loss of "Demographic User Modeling for
Social Robotics with Multimodal Pre-trained Models" (Rahimi et al., equations 1 to 3) on captions such as "The
person appears to be white female, approximately 20-29 years old"{extras}. The bundle carries the image tower and the
text embeddings of prompts for age and gender. It has no head for race or ethnicity.

## Intended use

A social robot's guess at the apparent age group and apparent gender of the person in front of it, to choose a
tone, always as one guess among others: with its probabilities, and with "unknown" as an answer. "Gender" is
what annotators of photographs wrote, in two categories; it is not what a person is. Not for access control, age
verification, surveillance, hiring, or any decision with consequences for a person.

## Data

{dataset}, {licence}. {attribution}. Trained on {epochs} epochs of the training split, of which {held_out:.0%}
(by content hash) were held out for calibration; the figures below are on faces that neither training nor
calibration saw. Race labels were used in captions during training and to measure the gaps below.
"""


_UNKNOWN = """
## Unknown

The age is "unknown" when the standard deviation of its distribution is above {std:g} years, the gender when its most
probable label is below {below:g}. Accuracies are over all faces, as if nothing were unknown.
"""


def model_card(manifest: DemographicEncoder, recipe: Recipe, report: Report | None) -> str:
    """Markdown; without a report it says that the model has not been measured."""
    dataset = manifest.datasets[0]
    text = _HEAD.format(
        name=manifest.name,
        version=manifest.version,
        tower=recipe.model["vision_cfg"].get("timm_model_name", "vision transformer"),
        size=manifest.crop.size,
        extras=_extras(recipe),
        dataset=dataset.name,
        licence=dataset.licence,
        attribution=dataset.attribution,
        epochs=recipe.epochs,
        held_out=recipe.held_out,
    )
    text += _UNKNOWN.format(std=recipe.unknown.age_above_std, below=recipe.unknown.gender_below)
    return text + (_figures(report) if report else "\n## Figures\n\nNot measured.\n")


def _extras(recipe: Recipe) -> str:
    """What the recipe adds to the paper's loss, as the end of a sentence."""
    short = any(weight > 0 for view, weight in recipe.views.items() if view != "fairuser")
    text = ", on the same captions cut down to age or gender\nalone" if short else ""
    return text + (", and with a term for the error of the expected age" if recipe.age_error > 0 else "")


def _figures(report: Report) -> str:
    lines = [
        "",
        f"## Figures, {report.n} faces of the validation split ({report.missed} not found by the detector)",
        "",
        f"Gender accuracy {report.gender_accuracy:.3f} (ECE {report.gender_ece:.3f}); age: mean error "
        f"{report.age_mae:.2f} years to the middle of the true bin, bin accuracy {report.age_bin_accuracy:.3f} (ECE "
        f"{report.age_ece:.3f}), 80 % interval covers {report.age_interval_coverage:.3f}; "
        f"unknown {report.unknown_rate:.3f}.",
        "",
        "| group | faces | gender accuracy | age error, years | age bin accuracy |",
        "|---|---|---|---|---|",
    ]
    for column, groups in report.groups.items():
        for label, group in groups.items():
            lines.append(
                f"| {column}: {label} | {group.n} | {group.gender_accuracy:.3f} | {group.age_mae:.2f} | "
                f"{group.age_bin_accuracy:.3f} |"
            )
    return "\n".join(lines) + "\n"
