"""What can go wrong with a representation centre, each with what to do about it."""

from __future__ import annotations

from rapport_edge.errors import RapportError


class CentreError(RapportError):
    """A centre that cannot be opened, read or written, or what was to be put into it."""


class OtherEncoderError(CentreError):
    """The table was made by another encoder, whose vectors mean nothing beside those of this one."""

    def __init__(self, where: object, found: str, wanted: str) -> None:
        super().__init__(
            f"{where} holds vectors of encoder {found}, not of {wanted}; name the encoder's own centre, or embed the "
            "items anew into another one"
        )


class CentreDamagedError(CentreError):
    """A file of the centre is not what was written."""


class CentreFullError(CentreError):
    """There is no space; what was asked for did not happen, and what was there before is whole."""
