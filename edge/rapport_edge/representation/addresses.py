"""Names of centres: a Path or a string is a folder, a string with a scheme is a Redis server's address."""

from __future__ import annotations

import re


def is_redis(where: object) -> bool:
    """Whether a name is a Redis server's; a Path never is, because it would have lost one of the two slashes."""
    return isinstance(where, str) and where.startswith(("redis:", "rediss:", "unix:"))


def without_password(where: str) -> str:
    """A name as it may be shown and logged."""
    if not is_redis(where):
        return where
    scheme, _, rest = where.partition("://")
    address, mark, options = rest.rpartition("@")[2].partition("?")
    kept = [option for option in options.split("&") if not re.match("(username|password)=", option)]
    return f"{scheme}://{address}{mark if kept else ''}{'&'.join(kept)}"
