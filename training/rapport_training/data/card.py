"""The data card: what is in a data set, what was left out, where it came from and who has to be named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rapport_training.data.about import About
from rapport_training.data.plots import DISTRIBUTION, plot_distribution
from rapport_training.data.schema import CARD, DESCRIPTION, LABELS
from rapport_training.data.summary import Summary, ordered_labels

_EXAMPLES = 5
_LISTED = 50


def write_card(about: About, summary: Summary, folder: Path) -> None:
    """Writes DATA_CARD.md and its picture into the data set's folder."""
    plot_distribution(about.name, summary, folder / DISTRIBUTION)
    (folder / CARD).write_text(render_card(about, summary), encoding="utf-8")


def render_card(about: About, summary: Summary) -> str:
    """The card as Markdown."""
    parts = [
        f"# {about.name}",
        about.text,
        f"Made with\n\n```sh\n{about.command}\n```",
        f"## Splits\n\n{_splits(summary)}\n\nNo picture is in two splits: equality is that of the files' bytes.",
        f"## Labels\n\n![Age, gender and ethnicity of each split]({DISTRIBUTION})",
        *(_label_table(summary, label) for label in LABELS),
        f"## Captions\n\n{_captions(summary)}",
        f"## Left out\n\n{_left_out(summary)}",
        *(f"## {heading}\n\n{text}" for heading, text in about.sections),
        f"## Sources\n\n{_sources(about)}",
        f"## Licence\n\n{about.licence}\n\n{about.attribution}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _splits(summary: Summary) -> str:
    rows = [
        (name, split.rows, len(split.captions), split.not_detected, _percent(split.not_detected, split.rows))
        for name, split in summary.splits.items()
    ]
    header = ("split", "pictures", "distinct captions", "no face found", "share")
    note = "\n\nWhere no face was found there are no landmarks, and the whole picture takes the place of the crop."
    return _table(header, rows) + note


def _label_table(summary: Summary, label: str) -> str:
    labels = ordered_labels(summary, label)
    if labels == [""]:
        return f"The source has no {label}."
    rows = [
        (name or "(none)", *(f"{s.labels[label][name]} ({_percent(s.labels[label][name], s.rows)})" for s in splits))
        for splits in [list(summary.splits.values())]
        for name in labels
    ]
    return _table((label, *summary.splits), rows)


def _captions(summary: Summary) -> str:
    counts: Counter[str] = sum((split.captions for split in summary.splits.values()), Counter())
    lengths = sorted(len(caption.split()) for caption in counts.elements())
    text = (
        f"{len(counts)} distinct captions of {lengths[0]} to {lengths[-1]} words, in the middle "
        f"{lengths[len(lengths) // 2]}. The most frequent:"
    )
    examples = sorted(counts, key=lambda caption: (-counts[caption], caption))[:_EXAMPLES]
    return "\n".join([text, "", *(f"- {counts[caption]} times: {caption}" for caption in examples)])


def _left_out(summary: Summary) -> str:
    duplicates = (
        f"- Duplicates: {summary.duplicates}; {summary.duplicates_across_splits} of them would have been in two "
        f"splits, {summary.duplicates_relabelled} have other labels than the first, which was kept."
    )
    unreadable = [f"{file} ({reason})" for file, reason in summary.unreadable]
    return "\n".join(
        [
            duplicates,
            *_listing("Missing", summary.missing),
            *_listing("Unreadable", unreadable),
        ]
    )


def _listing(what: str, files: Sequence[str]) -> Iterable[str]:
    yield f"- {what} pictures: {len(files)}"
    yield from (f"  - {file}" for file in files[:_LISTED])
    if len(files) > _LISTED:
        yield f"  - and {len(files) - _LISTED} more, in {DESCRIPTION}"


def _sources(about: About) -> str:
    return _table(("source", "SHA-256"), [(source["path"], f"`{source['sha256']}`") for source in about.sources])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
