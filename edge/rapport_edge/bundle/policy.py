"""The policy file: with it an operator allows what a robot otherwise refuses.

A policy is a statement, not cryptography: a named person says which parts of which bundle may run, why, and since when.
It holds for one bundle only, because it names the SHA-256 of that bundle's `bundle.json`, which in turn holds the
SHA-256 of every file. Who may write the file is decided by the permissions of the robot's file system.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from rapport_edge.bundle.manifest import Date, Name, Sha256
from rapport_edge.bundle.sensitive import OPEN_TEXT
from rapport_edge.errors import BundleError

#: At least a few words that say more than "yes".
Reason = Annotated[str, Meta(min_length=15)]
Person = Annotated[str, Meta(pattern=r"\S+", max_length=200)]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the operator allows.

    Attributes:
        allow: names of heads, such as "race", or "open-text" for a text tower that knows every word.
        reason: why this deployment may infer it, such as the exemption that applies.
        operator: the person who takes responsibility.
        date: the day of the decision, ISO 8601.
        bundle: SHA-256 of the `bundle.json` that this policy is for.
    """

    allow: Annotated[tuple[Name, ...], Meta(min_length=1)]
    reason: Reason
    operator: Person
    date: Date
    bundle: Sha256


def load_policy(path: Path) -> Policy:
    """Reads a policy file.

    Raises:
        BundleError: if it cannot be read, is not a policy, or lies in the future.
    """
    try:
        policy = msgspec.json.decode(path.read_bytes(), type=Policy)
        decided = datetime.date.fromisoformat(policy.date)
    except OSError as error:
        raise BundleError(f"cannot read the policy file {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise BundleError(f"{path} is not a policy: {error}") from error
    tomorrow = datetime.date.today() + datetime.timedelta(days=1)  # a day's grace for time zones
    if decided > tomorrow:
        raise BundleError(f"{path} is dated {policy.date}, in the future; check its date and the robot's clock")
    return policy


def check_policy(sensitive: tuple[str, ...], manifest_digest: str, policy: Policy | None) -> None:
    """Refuses sensitive parts that no policy allows.

    Args:
        sensitive: names of the bundle's sensitive heads, and "open-text".
        manifest_digest: SHA-256 of the bundle's `bundle.json`.
        policy: None if the operator named none.

    Raises:
        BundleError: if there are sensitive parts and the policy is missing, made for another bundle, or silent on one.
    """
    if not sensitive:
        return
    if policy is None:
        raise BundleError(
            f"the bundle {_deed(sensitive)}; only age and gender, in their known labels and words, run without a "
            "policy (in the EU it is prohibited to infer race, belief or orientation: AI Act, Article 5(1)(g)); export "
            'it without that part, or name a policy file with "allow", "reason", "operator", "date" and '
            f'"bundle": "{manifest_digest}"'
        )
    if policy.bundle != manifest_digest:
        raise BundleError(f"the policy is for the bundle {policy.bundle}, but this one is {manifest_digest}")
    missing = [name for name in sensitive if name not in policy.allow]
    if missing:
        raise BundleError(f"the policy does not allow {', '.join(missing)}; it allows {', '.join(policy.allow)}")


def _deed(sensitive: tuple[str, ...]) -> str:
    """What the bundle does, in words."""
    heads = ", ".join(name for name in sensitive if name != OPEN_TEXT)
    deeds = [f"infers {heads} from faces"] if heads else []
    return " and ".join([*deeds, "finds faces by any word (open-text)"] if OPEN_TEXT in sensitive else deeds)
