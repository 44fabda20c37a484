"""Parameters of the node profile_store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec

from rapport_edge.profiles.identity import IdentitySettings
from rapport_edge.profiles.item_ranking import RankSettings
from rapport_edge.profiles.person_manager import PersonSettings
from rapport_edge.profiles.sentence_search import FindSettings
from rapport_edge.store import StoreSettings


class ProfileStoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What profile_store reads from its parameters.

    Attributes:
        database: file of the profile database; `~` is the home directory, "" stands for
            $XDG_DATA_HOME/rapport/profiles.sqlite.
        recognizer_bundle: folder of the face-recognizer bundle that face_perception uses, too; "" recognises nobody.
        find: whether and how persons may be found by a sentence.
        rank: with what items are ranked for a person.
        purge_interval: seconds between two looks for data whose retention time has ended.
        identity: how much evidence a name needs.
        persons: how often profiles change, and when a face is gone.
        store: retention and storage.
    """

    database: str = ""
    recognizer_bundle: str = ""
    find: FindSettings = FindSettings()
    rank: RankSettings = RankSettings()
    purge_interval: Annotated[float, msgspec.Meta(ge=1.0, le=86400.0)] = 3600.0
    identity: IdentitySettings = IdentitySettings()
    persons: PersonSettings = PersonSettings()
    store: StoreSettings = StoreSettings(busy_timeout_s=0.5)


def database_path(setting: str) -> Path:
    """The file that the parameter `database` names."""
    if setting:
        return Path(setting).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "rapport" / "profiles.sqlite"
