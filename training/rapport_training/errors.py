"""Errors of trainings, in words for people."""

from __future__ import annotations

from rapport_edge.errors import RapportError


class TrainingError(RapportError):
    """A training that cannot go on."""


class Interrupted(KeyboardInterrupt):
    """A training that was stopped by Ctrl-C, and what goes on from there."""
