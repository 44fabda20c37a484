"""How well the shipped bundle finds persons by a sentence, among labelled faces of one Parquet file.

    python edge/benchmarks/sentences.py --faces val.parquet

For every gender and each decade from the twenties on, the ten faces whose cosine with the sentence is largest.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from rapport_edge.bundle import default_bundle_path, load_bundle
from rapport_edge.detection import DetectorSettings, create_detector
from rapport_edge.encoding import FaceEncoder, create_encoder, create_text_encoder
from rapport_edge.evaluation.cropping import crop_labelled_face
from rapport_edge.evaluation.labelled_faces import LabelledFaces
from rapport_edge.faces import FloatArray
from rapport_edge.labels import AGE_BINS

FIRST = 10
WORDS = {"Female": "woman", "Male": "man"}
DECADES = ("twenties", "thirties", "forties", "fifties", "sixties", "seventies")


def embeddings_of(faces: LabelledFaces, encoder: FaceEncoder) -> FloatArray:
    """(n, d), of faces as the robot sees them."""
    detector = create_detector(DetectorSettings())
    batches = []
    for images in faces.images():
        crops = [crop_labelled_face(image, detector, encoder.crop).crop for image in images]
        batches.append(encoder.encode(np.stack([crop for crop in crops if crop is not None])).embeddings)
    return np.concatenate(batches)


@click.command()
@click.option("--bundle", "folder", type=click.Path(path_type=Path), default=default_bundle_path, help="Its folder.")
@click.option("--faces", "path", type=click.Path(path_type=Path), required=True, help="Every picture must be readable.")
def main(folder: Path, path: Path) -> None:
    """Prints a row for each sentence, and their mean."""
    bundle, faces = load_bundle(folder), LabelledFaces(path)
    embeddings, text = embeddings_of(faces, create_encoder(bundle)), create_text_encoder(bundle)
    bins = np.array([AGE_BINS.index(age) for age in faces.ages])
    rows = []
    click.echo(f"{'of the first ' + str(FIRST):34}{'gender':>8}{'decade +-1':>12}{'decade':>8}   by chance")
    for gender, word in WORDS.items():
        right = np.array(faces.genders) == gender
        for decade, name in enumerate(DECADES, start=AGE_BINS.index("20-29")):
            sentence = f"a {word} in their {name}"
            best = np.argsort(-(embeddings @ text.encode(sentence).embedding))[:FIRST]
            judged = np.stack([right, right & (abs(bins - decade) <= 1), right & (bins == decade)])
            rows.append(np.concatenate([judged[:, best].mean(axis=1), judged.mean(axis=1)]))
            _say(sentence, rows[-1])
    _say("mean", np.mean(rows, axis=0))


def _say(name: str, row: FloatArray) -> None:
    click.echo(f"{name:34}{row[0]:8.2f}{row[1]:12.2f}{row[2]:8.2f}   {row[3]:.2f} {row[4]:.2f} {row[5]:.2f}")


if __name__ == "__main__":
    main()
