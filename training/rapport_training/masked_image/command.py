"""`rapport-train tokenizer ...`: what gives masked image modelling its vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)
_COUNT = click.IntRange(min=1)


@click.group()
def tokenizer() -> None:
    """Image tokenizers, whose tokens masked image modelling predicts."""


@tokenizer.command()
@click.option("--data", type=_PATH, required=True, help="Data set, as `rapport-train data` writes it.")
@click.option("--out", type=_PATH, required=True, help="The tokenizer's file, such as faces.safetensors.")
@click.option("--vocabulary", type=click.IntRange(2, 65536), default=1024, show_default=True, help="Tokens.")
@click.option(
    "--factor", type=click.Choice(["4", "8", "16"]), default="8", show_default=True, help="Side of a patch in pixels."
)
@click.option("--width", type=click.IntRange(8, 512), default=32, show_default=True, help="Channels at full size.")
@click.option("--size", type=click.IntRange(16, 512), default=64, show_default=True, help="Side of the crops.")
@click.option("--scale", type=float, default=0.8, show_default=True, help="Of the face in the crop, as in the recipe.")
@click.option("--shift-y", type=float, default=0.0, show_default=True, help="Of the face in the crop.")
@click.option("--faces", type=_COUNT, help="Train on the first so many faces.  [default: all]")
@click.option("--epochs", type=_COUNT, default=20, show_default=True)
@click.option("--batch-size", type=_COUNT, default=64, show_default=True)
@click.option("--learning-rate", type=float, default=2e-3, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that load faces.")
@click.option("--resume/--no-resume", default=True, help="Continue where an earlier training of this file stopped.")
def fit(data: Path, out: Path, resume: bool, **options: Any) -> None:
    """Trains a discrete autoencoder on a data set's faces; Ctrl-C stops it, the same command continues it."""
    from rapport_training.masked_image.tokenizers.fitting import fit_tokenizer

    digest = fit_tokenizer(_settings(options), data, out, resume=resume)
    click.echo(f"trained: {out} (sha256 {digest[:12]}); see {out.with_suffix('.png')} and {out.with_suffix('.json')}")


def _settings(options: dict[str, Any]) -> Any:
    import msgspec

    from rapport_edge.errors import SettingsError
    from rapport_training.masked_image.tokenizers.settings import TokenizerSettings

    network = {name: int(options.pop(name)) for name in ("vocabulary", "factor", "width")}
    try:
        return msgspec.convert({"network": network, **options}, TokenizerSettings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"tokenizer fit: {error}") from error
