"""What the tests of representation centres share."""

from __future__ import annotations

from rapport_edge.representation import CentreFormat

LAYOUT = CentreFormat(encoder="aa" * 32, dimension=4)
