"""`rapport-train interest`: from behaviour logs to a ranker that a robot runs."""

from __future__ import annotations

import click

from rapport_training.interest.data.commands import data


@click.group()
def interest() -> None:
    """Content-interest models (MIM): data, encoders, click-through-rate models, the representation centre."""


interest.add_command(data)
