"""`rapport-train demographic query`: the best faces for a sentence, per model side by side (the paper's Table II)."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.dual_encoder import DualEncoder
from rapport_training.demographic.evaluation.embeddings import EmbeddingCache, digest_of

#: Faces in the picture are shown at this side, in pixels.
_SHOWN = 160


@dataclass(frozen=True)
class Hit:
    """One face that a sentence found.

    Attributes:
        row: in the split that was searched.
        score: cosine similarity, -1 to 1.
        facts: what the data set says about the person.
    """

    row: int
    score: float
    facts: str


def best_faces(
    encoder: DualEncoder, sentence: str, faces: UserFaces, top: int, cache: EmbeddingCache | None = None
) -> list[Hit]:
    """The `top` faces of highest similarity, best first; of equal ones the lowest content hash first.

    Raises:
        RapportError: if the sentence has more tokens than the text tower takes.
    """
    text = encoder.embed_texts([sentence])[0]
    embeddings = (cache or EmbeddingCache(None)).faces(encoder, digest_of(encoder), faces)
    scores = embeddings @ text
    order = np.lexsort((faces.content, -scores))[:top]
    return [Hit(int(row), float(scores[row]), facts_of(faces, int(row))) for row in order]


def facts_of(faces: UserFaces, row: int) -> str:
    """Gender, age and race as far as there are labels, else the caption."""
    labels = [str(names[row]).replace("_", " or ") for names in (faces.gender, faces.age, faces.race)]
    return ", ".join(label for label in labels if label) or str(faces.caption[row])


def as_text(sentence: str, hits: Sequence[tuple[str, Sequence[Hit]]]) -> str:
    """Lines for the terminal."""
    lines = [f"query: {sentence}"]
    for name, found in hits:
        lines.append(f"{name}:")
        lines += [f"  {hit.score:.3f}  row {hit.row}  {textwrap.shorten(hit.facts, 90)}" for hit in found]
    return "\n".join(lines)


def draw(sentence: str, faces: UserFaces, hits: Sequence[tuple[str, Sequence[Hit]]], out: Path) -> None:
    """Writes the picture: one row of faces per model.

    Raises:
        SettingsError: if the file cannot be written.
    """
    columns = max(len(found) for _, found in hits)
    figure = Figure(figsize=(1.75 * columns + 1.6, 2.45 * len(hits) + 0.9), dpi=120, layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(f"“{sentence}”", 22 + 20 * columns)), fontsize=10)
    grid = figure.subplots(len(hits), columns, squeeze=False)
    for axes_of_model, (name, found) in zip(grid, hits, strict=True):
        for axes in axes_of_model:
            axes.set_axis_off()
        _name_row(axes_of_model[0], name)
        for axes, hit in zip(axes_of_model, found, strict=False):
            _draw_hit(axes, faces, hit)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, buffer.getvalue())
    except OSError as error:
        raise SettingsError(f"cannot write {out}: {error.strerror}") from error


def _name_row(axes: Axes, name: str) -> None:
    wrapped = "\n".join(textwrap.wrap(name, 18))
    axes.text(-0.08, 0.5, wrapped, transform=axes.transAxes, ha="right", va="center", fontsize=9, fontweight="bold")


def _draw_hit(axes: Axes, faces: UserFaces, hit: Hit) -> None:
    picture = faces.picture(hit.row)
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = picture[top : top + side, left : left + side]
    axes.imshow(cv2.resize(square, (_SHOWN, _SHOWN), interpolation=cv2.INTER_AREA))
    facts = "\n".join(textwrap.wrap(textwrap.shorten(hit.facts, 66, placeholder=" …"), 22))
    axes.set_title(f"{hit.score:.3f}", fontsize=8, pad=2)
    axes.text(0.5, -0.04, facts, transform=axes.transAxes, ha="center", va="top", fontsize=7)
