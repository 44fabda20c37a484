"""`rapport-train interest`: from behaviour logs to a ranker that a robot runs."""

from __future__ import annotations

import click


@click.group()
def interest() -> None:
    """Content-interest models (MIM): data, encoders, click-through-rate models, the representation centre."""
