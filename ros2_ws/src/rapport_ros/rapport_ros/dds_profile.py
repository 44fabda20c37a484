"""The Fast DDS profile that images need: 64 MiB of shared memory, so that no frame is lost between processes."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from importlib.resources import as_file, files

VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def use_shared_memory_profile(environment: MutableMapping[str, str] = os.environ) -> str:
    """Sets the profile unless the user has set one; must come before the first node.

    Returns:
        the path of the profile that is in force.
    """
    for variable in VARIABLES:
        if environment.get(variable):
            return environment[variable]
    with as_file(files("rapport_ros") / "config" / "fastdds_shm.xml") as path:
        environment[VARIABLES[0]] = str(path)
        return str(path)
