"""Options that the commands of reports share: NAME=PATH, and numbers with commas between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rapport_edge.errors import SettingsError
from rapport_training.seeds import LARGEST_SEED


def named_paths(option: str, texts: Sequence[str]) -> dict[str, Path]:
    """NAME=PATH by name.

    Raises:
        SettingsError: for another form, or a name that is there twice.
    """
    named: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or not name or not path:
            raise SettingsError(f"{option} {text}: expected NAME=PATH")
        if name in named:
            raise SettingsError(f"{option} {name}=... is there twice")
        named[name] = Path(path)
    return named


def seed_numbers(text: str) -> list[int]:
    """Of --seeds.

    Raises:
        SettingsError: if something between the commas is no number, or no generator takes it.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise SettingsError(f"--seeds {text}: expected numbers with commas between, such as 0,1,2") from error
    wrong = next((seed for seed in seeds if not 0 <= seed <= LARGEST_SEED), None)
    if wrong is not None:
        raise SettingsError(f"--seeds {text}: {wrong} is not from 0 to {LARGEST_SEED}")
    return seeds
