"""`rapport-train interest`: from behaviour logs to a ranker that a robot runs."""

from __future__ import annotations

import click

from rapport_training.interest.content.command import csft, pretrain
from rapport_training.interest.ctr.commands import evaluate, fit
from rapport_training.interest.data.commands import data, prepare_command
from rapport_training.interest.embed_command import embed
from rapport_training.interest.export.command import export
from rapport_training.interest.tables.command import table


@click.group()
def interest() -> None:
    """Content-interest models (MIM): data, encoders, click-through-rate models, the representation centre."""


interest.add_command(data)
interest.add_command(prepare_command)
interest.add_command(fit)
interest.add_command(evaluate)
interest.add_command(table)
interest.add_command(pretrain)
interest.add_command(csft)
interest.add_command(embed)
interest.add_command(export)
