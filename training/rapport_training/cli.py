"""The command `rapport-train`."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import click

from rapport_edge.cli import RapportGroup, UserError
from rapport_training import __version__
from rapport_training.data.commands import data
from rapport_training.demographic.checkpoints.command import checkpoint
from rapport_training.demographic.commands import demographic
from rapport_training.interest.commands import interest
from rapport_training.masked_image.command import tokenizer


class TrainingGroup(RapportGroup):
    """Too little memory is a line as well, which torch says in its own way."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand."""
        try:
            return super().invoke(ctx)
        except RuntimeError as error:
            if not _is_about_memory(error):
                raise
            reason = str(error).splitlines()[0]
            raise UserError(
                f"there is not enough memory for this ({reason}); a smaller batch or a smaller model needs less"
            ) from error


def _is_about_memory(error: RuntimeError) -> bool:
    """By name: torch is not imported where nothing needs it."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _is_about_this_training(record: logging.LogRecord) -> bool:
    """False for Lightning's advertisements, and for accelerators that no recipe uses."""
    return not record.getMessage().startswith(("💡", "TPU available"))


@click.group(cls=TrainingGroup)
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
