"""`rapport-edge evaluate`: a bundle's figures on labelled faces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rapport_edge.bundle import Bundle
    from rapport_edge.detection import FaceDetector
    from rapport_edge.evaluation import LabelledFaces, Report


@click.command("evaluate")
@click.option("--bundle", "bundle_path", type=click.Path(path_type=Path), help="Folder; default: the one installed.")
@click.option("--faces", "faces_path", type=click.Path(path_type=Path), required=True, help="Parquet file.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), required=True, help="Where the report goes.")
@click.option("--limit", type=click.IntRange(min=1), help="Measure the first faces only.")
@click.option("--detector", default="centerface", show_default=True, help="That name, or YuNet's ONNX file.")
@click.option("--threads", type=click.IntRange(1, 64), default=os.cpu_count() or 1, show_default="all cores")
@click.option("--policy", "policy_path", type=click.Path(path_type=Path), help="Allows heads such as race.")
def command(
    bundle_path: Path | None,
    faces_path: Path,
    json_path: Path,
    limit: int | None,
    detector: str,
    threads: int,
    policy_path: Path | None,
) -> None:
    """Measures a bundle on a Parquet file with columns image, age, gender and, if wanted, race.

    Every picture takes the robot's own path: decode, detect, align, encode, answer. A face that the detector misses is
    encoded from the whole picture and counted as missed. Accuracies are over all faces, as if nothing were unknown.
    """
    from rapport_edge.bundle import default_bundle_path, load_bundle, load_policy
    from rapport_edge.evaluation import LabelledFaces

    _check_writable(json_path)
    bundle = load_bundle(bundle_path or default_bundle_path(), load_policy(policy_path) if policy_path else None)
    faces = LabelledFaces(faces_path, limit)
    report = _run(bundle, _detector(detector), faces, threads)
    _write(json_path, report)
    click.echo(_summary(report))


def _check_writable(path: Path) -> None:
    """Says so before the work, not after it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise click.UsageError(f"cannot write the report to {path}")


def _detector(name: str) -> FaceDetector:
    from rapport_edge.detection import DetectorSettings, create_detector

    if name == "centerface":
        return create_detector(DetectorSettings())
    return create_detector(DetectorSettings(name="yunet", model_path=name))


def _run(bundle: Bundle, detector: FaceDetector, faces: LabelledFaces, threads: int) -> Report:
    from tqdm import tqdm

    from rapport_edge.encoding import create_encoder
    from rapport_edge.engines import EngineSettings
    from rapport_edge.evaluation import evaluate

    encoder = create_encoder(bundle, EngineSettings(threads=threads))
    with tqdm(total=len(faces), unit="face", disable=None) as bar:  # silent where standard error is no terminal
        return evaluate(bundle, encoder, detector, faces, threads, bar.update)


def _write(path: Path, report: Report) -> None:
    import msgspec

    from rapport_edge.atomic import write_atomically

    try:
        write_atomically(path, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    except OSError as error:
        raise click.UsageError(f"cannot write the report to {path}: {error.strerror}") from error


def _summary(report: Report) -> str:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    lines = [
        f"{report.bundle} on {report.n} faces, {report.missed} missed, {len(report.unreadable)} unreadable",
        f"gender accuracy {shown(report.gender_accuracy)}, ECE {shown(report.gender_ece)}",
        f"age error {shown(report.age_mae)} years, bin accuracy {shown(report.age_bin_accuracy)}, "
        f"ECE {shown(report.age_ece)}, 80 % interval covers {shown(report.age_interval_coverage)}",
        f"unknown {shown(report.unknown_rate)}",
    ]
    for column, gaps in report.gaps.items():
        lines += [
            f"{figure} by {column}: {gap.gap:.3f} between {gap.lowest} and {gap.highest}"
            for figure, gap in gaps.items()
        ]
    return "\n".join(lines)
