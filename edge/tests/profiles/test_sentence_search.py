"""Persons are found by a sentence where, and about what, the deployment allows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny
from tiny_text import closed_text, text_table, write_with_text

from rapport_edge.encoding import SentenceError
from rapport_edge.errors import BundleError, SettingsError
from rapport_edge.profiles.sentence_search import FindSettings, SentenceSearch


def search(folder: Path, *allowed: str) -> SentenceSearch:
    return SentenceSearch(FindSettings(bundle_path=str(folder), allowed_attributes=allowed))


def test_a_sentence_becomes_a_query_for_the_image_towers_embeddings(tmp_path: Path) -> None:
    bundle = write_with_text(tmp_path / "b")
    query = search(bundle.path, "age", "gender").query("a funny woman of 60")
    expected = text_table()[[10, 2, 5, 6, 7, 11]].sum(axis=0)
    np.testing.assert_allclose(query.embedding, expected / np.linalg.norm(expected), atol=1e-6)
    assert (query.model_digest, query.unknown) == (bundle.digest, ("funny",))


def test_nothing_is_allowed_by_default(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"find\.allowed_attributes is empty"):
        SentenceSearch(FindSettings()).query("a woman")


def test_a_sentence_may_speak_of_what_is_allowed_only(tmp_path: Path) -> None:
    folder = write_with_text(tmp_path / "b").path
    only_age = search(folder, "age")
    assert only_age.query("a baby").unknown == ()
    with pytest.raises(SettingsError, match=r"speaks of gender, but find\.allowed_attributes is age"):
        only_age.query("a woman of 60")
    with pytest.raises(SentenceError, match=r"says nothing about gender or age \(not known: christian\)"):
        only_age.query("a christian")
    with pytest.raises(SettingsError, match="names race; sentences may speak of gender, age"):
        search(folder, "race")


def test_says_why_when_the_bundle_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        search(tmp_path / "absent", "age")
    with pytest.raises(SettingsError, match=r"through a bundle with a text tower; .* has none"):
        search(write_tiny(tmp_path / "tiny").path, "age").query("a baby")
    with pytest.raises(BundleError, match="open-text"):
        search(write_with_text(tmp_path / "open", closed_text(words={"jew": (2,)})).path, "age")
