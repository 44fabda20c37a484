"""The command `rapport-train`."""

from __future__ import annotations

import logging
import warnings

import click

from rapport_edge.cli import RapportGroup
from rapport_training import __version__
from rapport_training.data.commands import data
from rapport_training.demographic.checkpoints.command import checkpoint
from rapport_training.demographic.commands import demographic
from rapport_training.interest.commands import interest
from rapport_training.masked_image.command import tokenizer


def _is_about_this_training(record: logging.LogRecord) -> bool:
    """False for Lightning's advertisements, and for accelerators that no recipe uses."""
    return not record.getMessage().startswith(("💡", "TPU available"))


@click.group(cls=RapportGroup)
@click.version_option(__version__, prog_name="rapport-train")
def main() -> None:
    """Trains, evaluates and exports what a Rapport robot runs."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    # Lightning advises more loader workers; how many are best is the recipe's business, and measured there.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # Lightning's own use of torch; nothing that a user could change.
    warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_about_this_training)


main.add_command(data)
main.add_command(demographic)
main.add_command(interest)
main.add_command(tokenizer)
main.add_command(checkpoint)
