"""The DDS domain of a run: its own, so that robots nearby neither hear nor disturb it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

VARIABLE = "ROS_DOMAIN_ID"
#: Domains up to here have free ports on Linux, whose ephemeral ports begin at 32768.
HIGHEST = 101


def use_domain(asked: int | None, environment: MutableMapping[str, str]) -> int:
    """Sets the domain for this process and its children: the one asked for, or one by the process id.

    ROS_DOMAIN_ID is not looked at: it may be the domain of a robot that runs.
    """
    domain = asked if asked is not None else 1 + os.getpid() % HIGHEST
    environment[VARIABLE] = str(domain)
    return domain
