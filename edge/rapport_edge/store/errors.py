"""What can go wrong with a profile database, each with what to do about it."""

from __future__ import annotations

from rapport_edge.errors import StoreError


class StoreBusyError(StoreError):
    """Another process owns the database or holds it locked."""


class StoreReadOnlyError(StoreError):
    """The file or its folder cannot be written."""


class StoreCorruptError(StoreError):
    """The file is damaged, or no profile database at all."""


class StoreRowError(StoreError):
    """A row that the store cannot have written; the message names it, and `translated` adds the file and a remedy."""


class StoreVersionError(StoreError):
    """The database was written by another version of this software."""


class StoreFullError(StoreError):
    """The disk is full; what was asked for did not happen."""


class UnknownUserError(StoreError):
    """Nobody has this user id: never seen, forgotten, or an anonymous person of an earlier start."""


class ConsentError(StoreError):
    """The person's consent does not allow this, or the change of consent is not a possible one."""
