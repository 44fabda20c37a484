"""Profiles by fixed sentences: short enough for CLIP, true to the attributes, in many wordings."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.evaluation import LabelledFaces
from rapport_edge.labels import AGE_BINS, GENDERS, RACES
from rapport_training.data.captioners.length import CONTEXT, ClipLength
from rapport_training.data.captioners.template import TemplateCaptioner

#: What generated.photos' API has for each attribute.
GENERATED = {
    "gender": ("male", "female"),
    "age": ("infant", "child", "young-adult", "adult", "elderly"),
    "ethnicity": ("white", "latino", "asian", "black"),
    "emotion": ("joy", "neutral", "surprise"),
    "eye_color": ("brown", "gray", "blue", "green"),
    "hair_color": ("brown", "black", "blond", "gray", "red"),
    "hair_length": ("short", "medium", "long"),
    "head_pose": ("facing the camera", "turned to the side", "tilted"),
}


@pytest.fixture(scope="module")
def length() -> ClipLength:
    return ClipLength()


def test_every_combination_of_fairface_labels_fits_clip(length: ClipLength) -> None:
    captioner = TemplateCaptioner()
    for age, gender, race in product(AGE_BINS, GENDERS, RACES):
        attributes = {"age": age, "gender": gender, "ethnicity": race}
        texts = {captioner.caption(bytes([number]), attributes).text for number in range(60)}
        assert len(texts) > 30
        assert max(map(length.tokens, texts)) <= CONTEXT


@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in GENERATED.items()}), st.binary())
def test_whatever_generated_photos_says_of_a_face_fits_clip(
    length: ClipLength, attributes: dict[str, str], picture: bytes
) -> None:
    text = TemplateCaptioner().caption(picture, attributes).text
    assert length.fits(text)
    assert "\n" not in text
    assert not set("{}") & set(text)


@given(st.dictionaries(st.sampled_from([*GENERATED, "glasses", "x{y}"]), st.text(max_size=20)), st.binary(max_size=4))
def test_no_attribute_breaks_a_sentence(attributes: dict[str, str], picture: bytes) -> None:
    captioner = TemplateCaptioner()
    first = captioner.caption(picture, attributes)
    assert first == TemplateCaptioner().caption(picture, dict(reversed(attributes.items())))
    assert first.text.strip()


def test_the_profile_says_what_the_attributes_say() -> None:
    attributes = {name: values[1] for name, values in GENERATED.items()} | {"glasses": "true", "beard": "no"}
    text = TemplateCaptioner().caption(b"a face", attributes).text
    for word in ("girl", "Latina", "black hair", "gray eyes", "glasses", "side"):
        assert word in text
    assert "beard" not in text
    assert not {"he", "his"} & set(text.casefold().replace(".", "").split())


@pytest.mark.parametrize(
    ("age", "words"),
    [("23.7", ("young woman", "24 years")), ("more than 70", ("elderly woman", "70")), ("elderly", ("elderly woman",))],
)
def test_ages_are_bins_numbers_or_words(age: str, words: tuple[str, ...]) -> None:
    text = TemplateCaptioner().caption(b"", {"age": age, "gender": "Female"}).text
    assert all(word in text for word in words)


def test_captions_of_real_faces_are_not_all_one_mould(shared_data: Path, length: ClipLength) -> None:
    faces = LabelledFaces(shared_data / "fairface" / "val.parquet", limit=600)
    assert faces.races is not None
    images = [image or b"" for batch in faces.images() for image in batch]
    captioner = TemplateCaptioner()
    labels = zip(images, faces.ages, faces.genders, faces.races, strict=True)
    texts = [
        captioner.caption(image, {"age": age, "gender": gender, "ethnicity": race}).text
        for image, age, gender, race in labels
    ]
    assert all(map(length.fits, texts))
    assert len(set(texts)) > 500
    openings = Counter(" ".join(text.split()[:4]) for text in texts)
    assert max(openings.values()) < 600 / 3


def test_a_long_text_is_cut_at_a_sentence_s_end_and_if_need_be_within_one(length: ClipLength) -> None:
    text = "A woman with long hair. " * 20
    short = length.shortened(text)
    assert short.endswith("hair.")
    assert length.tokens(short) <= CONTEXT < length.tokens(f"{short} A woman with long hair.")
    assert length.fits(length.shortened("very " * 200 + "long."))
    assert length.shortened("very " * 200).startswith("very very")
    assert length.fits(length.shortened("w" * 2000))
