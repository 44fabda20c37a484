"""Persons are found by a sentence where, and about what, the deployment allows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from house import estimate
from tiny_bundle import write_tiny
from tiny_text import closed_text, text_table, write_with_text

from rapport_edge.bundle import default_bundle_path, load_bundle
from rapport_edge.detection import DetectorSettings, create_detector
from rapport_edge.encoding import SentenceError, create_encoder
from rapport_edge.errors import BundleError, SettingsError
from rapport_edge.evaluation.cropping import crop_labelled_face
from rapport_edge.profiles.sentence_search import FindSettings, SentenceSearch
from rapport_edge.store import Consent, ProfileStore


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


def test_the_shipped_bundle_finds_persons_among_real_faces(shared_data: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow reads the labelled faces")
    rows = parquet.read_table(shared_data / "fairface" / "val.parquet", columns=["image", "gender"]).slice(0, 60)
    images, genders = (rows[name].to_pylist() for name in ("image", "gender"))
    bundle, detector = load_bundle(default_bundle_path()), create_detector(DetectorSettings())
    encoder = create_encoder(bundle)
    crops = [crop_labelled_face(image, detector, encoder.crop).crop for image in images]
    with ProfileStore(tmp_path / "profiles.sqlite") as store:
        for row, embedding in enumerate(encoder.encode(np.stack(crops)).embeddings):
            looks = replace(estimate(), embedding=embedding, model_digest=bundle.digest)
            store.observe(f"p{row}", looks, "e")
            store.set_consent(f"p{row}", Consent.GRANTED, "self")
        for sentence, gender in (("a woman in their twenties", "Female"), ("a man of about 40 years", "Male")):
            query = search(bundle.path, "age", "gender").query(sentence)
            found = store.candidates(query.embedding, query.model_digest, 5)
            assert [genders[int(match.user_id[1:])] for match in found].count(gender) >= 4, sentence
