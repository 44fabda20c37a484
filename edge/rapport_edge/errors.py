"""Errors that a person reads: what was wrong, where, and what to do about it.

Everything that a user can cause derives from `RapportError`; the command line turns it into one line on standard error
and exit status 2. Programming mistakes stay ordinary Python exceptions.
"""


class RapportError(Exception):
    """Base of all errors that come from input, files or settings, not from a mistake in the code."""


class ImageError(RapportError):
    """An image buffer that cannot be decoded: truncated, wrong step, unknown encoding, unreasonable size."""


class ModelError(RapportError):
    """A model file that cannot be loaded or run, or whose inputs and outputs are not what its user expects."""


class BundleError(RapportError):
    """A bundle that is incomplete, altered, of an unknown version, or not allowed on this robot."""


class StoreError(RapportError):
    """A profile database that cannot be opened, read or written."""


class SettingsError(RapportError):
    """A setting out of its range, or settings that contradict one another."""
