"""Errors of behaviour logs, in words for people."""

from __future__ import annotations

from rapport_edge.errors import RapportError


class LogError(RapportError):
    """A source, a behaviour log or prepared samples that are absent, damaged or not what was asked for."""
