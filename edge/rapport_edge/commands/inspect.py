"""`rapport-edge inspect`: what a bundle is, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rapport_edge.bundle import Bundle
    from rapport_edge.bundle.manifest import BundleManifest, Head, TextTower


@click.command("inspect")
@click.option("--bundle", "path", type=click.Path(path_type=Path), help="Folder; default: the one installed.")
def command(path: Path | None) -> None:
    """Verifies a bundle and prints what it is: task, heads, figures, data sets and licences.

    Checksums, manifest and arrays are verified, the model is loaded, and its golden inputs are run on the CPU. Parts
    that need a policy are named, not refused.
    """
    from rapport_edge.bundle import default_bundle_path, read_bundle

    bundle = read_bundle(path or default_bundle_path())
    verified = _verify(bundle)
    for line in (
        *_identity(bundle),
        *_heads(bundle),
        *_ranking(bundle),
        *_figures(bundle.manifest),
        *_origin(bundle.manifest),
        verified,
    ):
        click.echo(line)


def _verify(bundle: Bundle) -> str:
    """Loads every model; each must answer its golden inputs as its exporter did."""
    from rapport_edge.bundle.golden import check_golden, golden_case
    from rapport_edge.bundle.manifest import FaceEncoderManifest, InterestRanker
    from rapport_edge.encoding import FaceEncoder, create_text_encoder
    from rapport_edge.engines import EngineSettings, create_engine
    from rapport_edge.ranking import create_ranker

    settings = EngineSettings(name="onnxruntime-cpu")
    engines = [create_engine(bundle.path / model.file, settings) for model in bundle.manifest.models]
    if isinstance(bundle.manifest, FaceEncoderManifest):
        FaceEncoder(bundle, engines[0])  # holds the manifest against the graph
    if bundle.text is not None:
        create_text_encoder(bundle, settings)  # reads the golden sentences
    if isinstance(bundle.manifest, InterestRanker):
        create_ranker(bundle, settings)  # holds vocabularies, catalogue and embeddings together
    cases = [golden_case(bundle, model) for model in bundle.manifest.models]
    found = [(check_golden(case, run), case.tolerance) for case, run in zip(cases, engines, strict=True) if case]
    if not found:
        return "verified: checksums and graph; the bundle has no golden inputs"
    differences = ", ".join(f"{difference:.2g} of {tolerance:g}" for difference, tolerance in found)
    return f"verified: checksums, graph, golden inputs (largest difference {differences})"


def _identity(bundle: Bundle) -> Iterator[str]:
    from rapport_edge.bundle.manifest import task_of

    manifest = bundle.manifest
    yield f"{manifest.name} {manifest.version}, {task_of(manifest)}"
    if manifest.description:
        yield manifest.description
    size = sum((bundle.path / name).stat().st_size for name in manifest.files)
    yield f"folder    {bundle.path} ({size / 1e6:.1f} MB in {len(manifest.files)} files)"
    yield f"made      {manifest.created} from commit {manifest.commit}"
    yield f"model     {bundle.digest}"
    yield f"manifest  {bundle.manifest_digest}"


def _heads(bundle: Bundle) -> Iterator[str]:
    for head in bundle.heads:
        yield f"head      {head.name}: {', '.join(head.labels)}; {_unknown_rule(head)}"
    if bundle.text is not None:
        yield f"text      {_vocabulary(bundle.text)}, sentences of at most {bundle.text.context_length - 2} tokens"
    if bundle.sensitive_parts:
        yield f"policy    needed for {', '.join(bundle.sensitive_parts)} (AI Act, Article 5(1)(g))"


def _ranking(bundle: Bundle) -> Iterator[str]:
    from rapport_edge.bundle.manifest import InterestRanker
    from rapport_edge.ranking.tables import read_tables

    manifest = bundle.manifest
    if not isinstance(manifest, InterestRanker):
        return
    count = len(read_tables(bundle).catalogue)
    yield f"ranks     {count} items of its catalogue, histories of at most {manifest.history_length} events"
    yield f"fields    {', '.join(field.name for field in (*manifest.item_fields, *manifest.user_fields))}"
    if manifest.content is not None:
        rows = len(bundle.arrays[manifest.content.vectors])
        encoder = manifest.content.encoder
        yield f"content   {rows} embeddings of {manifest.content.dimension} numbers by the encoder {encoder}"
    yield f"protocol  {manifest.protocol}"


def _vocabulary(text: TextTower) -> str:
    from rapport_edge.bundle.manifest import ClosedText

    return f"{len(text.words)} words" if isinstance(text, ClosedText) else "every word"


def _unknown_rule(head: Head) -> str:
    from rapport_edge.bundle.manifest import OrdinalHead

    if isinstance(head, OrdinalHead):
        return f"unknown above a standard deviation of {head.unknown_above_std:g} years"
    return f"unknown below {head.unknown_below:g}"


def _figures(manifest: BundleManifest) -> Iterator[str]:
    for metric in manifest.metrics:
        group = f", {metric.group}" if metric.group else ""
        yield f"figure    {metric.name} {metric.value:.4g} on {metric.split} (n = {metric.n}{group})"


def _origin(manifest: BundleManifest) -> Iterator[str]:
    for dataset in manifest.datasets:
        attribution = f", {dataset.attribution}" if dataset.attribution else ""
        yield f"data      {dataset.name} ({dataset.role}): {dataset.licence}{attribution}"
    for licence in manifest.licences:
        yield f"licence   {licence.applies_to}: {licence.licence}"
