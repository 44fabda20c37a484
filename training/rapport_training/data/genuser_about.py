"""What GenUser's description and data card say about its faces and its profiles."""

from __future__ import annotations

from typing import Any, Final

from rapport_training.data.about import About
from rapport_training.data.captioners.length import CONTEXT
from rapport_training.data.genuser_profiles import Profiles
from rapport_training.data.genuser_source import Source

_LISTED: Final = 50
_TEXT: Final = (
    "Faces with visual attributes and a one-paragraph user profile each, made as the demographic user modelling paper "
    "makes its GenUser (Section III-A1). The paper has 10,000 synthetic faces, each with a JSON file of attributes and "
    "a profile by a vision-language model; which faces and which writer this data set has is said below."
)
_LICENCE: Final = "The pictures stay under the terms of their source, the profiles under those of their writer."
_ATTRIBUTION: Final = (
    "Whoever passes this data set on names the source of the pictures and the writer of the profiles. Pictures of "
    "FairFace are Kimmo Kärkkäinen's and Jungseock Joo's (WACV 2021), CC BY 4.0."
)


def about(source: Source, profiles: Profiles, captioner: str, splits: str, command: str) -> About:
    """The data set about itself.

    Args:
        source: the faces, the unusable ones included.
        profiles: what was written of the chosen ones.
        captioner: its identity.
        splits: as they were asked for.
        command: the command line that makes it again.
    """
    left_out = _left_out(profiles, source)
    settings: dict[str, Any] = {
        "splits": splits,
        "captioner": captioner,
        "profiles": {
            "written": len(profiles.captions),
            "refused": len(profiles.refused),
            "unanswered": len(profiles.unanswered),
            "too_long": len(profiles.too_long),
            "cut": profiles.cut,
            "input_tokens": profiles.input_tokens,
            "output_tokens": profiles.output_tokens,
            "cost": round(profiles.cost, 6),
        },
        "without_profile": [{"file": file, "reason": reason} for file, reason in left_out],
    }
    sections = [("Profiles", _told(profiles, captioner))]
    if left_out:
        sections.append(("Without a profile", _listed(left_out)))
    return About(
        name="GenUser",
        text=_TEXT,
        command=command,
        licence=_LICENCE,
        attribution=_ATTRIBUTION,
        sources=source.origin,
        settings=settings,
        sections=sections,
    )


def _told(profiles: Profiles, captioner: str) -> str:
    return (
        f"Written by `{captioner}` (kind, model, digest of the instructions): {len(profiles.captions)} profiles, "
        f"{profiles.input_tokens} tokens in, {profiles.output_tokens} out, cost {profiles.cost:.4f} at the prices that "
        f"were given. {len(profiles.refused)} pictures were refused, {len(profiles.unanswered)} got no answer. "
        f"{profiles.cut} profiles were longer than CLIP's {CONTEXT} tokens and were cut, where possible at a "
        f"sentence's end; {len(profiles.too_long)} were left out for their length. The splits were drawn before the "
        "profiles were written, in equal proportions of age, gender and ethnicity."
    )


def _listed(left_out: list[tuple[str, str]]) -> str:
    lines = [f"- {file}: {reason}" for file, reason in left_out[:_LISTED]]
    if len(left_out) > _LISTED:
        lines.append(f"- and {len(left_out) - _LISTED} more, all in data_set.json")
    return "\n".join(lines)


def _left_out(profiles: Profiles, source: Source) -> list[tuple[str, str]]:
    refused = [(file, f"refused: {reason}") for file, reason in profiles.refused]
    unanswered = [(file, f"no answer: {reason}") for file, reason in profiles.unanswered]
    too_long = [(file, f"too long: {reason}") for file, reason in profiles.too_long]
    return [*refused, *unanswered, *too_long, *source.left_out]
