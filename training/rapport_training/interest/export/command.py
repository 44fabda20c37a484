"""`rapport-train interest export`."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command("export")
@click.option("--run", type=_PATH, required=True, help="Folder of a run of 'interest fit'.")
@click.option("--data", type=_PATH, required=True, help="The prepared samples that it was trained on.")
@click.option("--centre", help="Representation centre with the items' content: a folder, or redis://...")
@click.option("--log", "log_path", type=_PATH, help="The behaviour log, for titles and names of categories.")
@click.option("--out", type=_PATH, required=True, help="Folder of the bundle.")
@click.option("--name", help="Name of the bundle.  [default: the recipe's]")
@click.option("--version", default="1.0.0", show_default=True, help="Version of the bundle.")
@click.option("--evaluate/--no-evaluate", "measured", default=True, help="Measure on the test split, for the manifest.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def export(
    run: Path, data: Path, centre: str | None, log_path: Path | None, out: Path, measured: bool, **options: str
) -> None:
    """Writes a run's interest-ranker bundle, whose scores are held against those of training."""
    from rapport_edge.bundle.writer import check_place
    from rapport_training.interest.ctr.commands import centre_content
    from rapport_training.interest.ctr.run import check_same_data, load_ctr, record_of
    from rapport_training.interest.data.log import BehaviourLog
    from rapport_training.interest.data.prepared import PreparedLog
    from rapport_training.interest.export.card import CardFacts
    from rapport_training.interest.export.facts import licence_of, with_figures
    from rapport_training.interest.export.ranker import assemble_ranker, write_ranker

    overwrite = bool(options["overwrite"])
    check_place(out, overwrite)
    model, recipe = load_ctr(run)
    prepared = PreparedLog.open(data)
    content = centre_content(recipe, prepared, centre)
    check_same_data(record_of(run), prepared, content)
    log = None if log_path is None else BehaviourLog.open(log_path)
    facts = CardFacts(options["name"] or recipe.name, options["version"], licence_of(prepared, log))
    exported = assemble_ranker(model, prepared, content, log)
    if measured:
        facts = with_figures(facts, model, prepared, content)
    bundle = write_ranker(exported, model, prepared, facts, out, overwrite=overwrite)
    size = sum(file.stat().st_size for file in bundle.path.iterdir()) / 1e6
    click.echo(f"exported: {bundle.path} ({size:.1f} MB; parity with training {exported.parity:.1e})")
