"""Visual attributes in the forms in which they come."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.labels import LabelError
from rapport_training.data.genuser_attributes import labels_of, visual_attributes

API = {
    "id": "5e6806686d3b380006f163bf",
    "version": 3,
    "urls": [{"32": "https://images.example/32.jpg"}, {"512": "https://images.example/512.jpg"}],
    "meta": {
        "confidence": 99.9,
        "gender": ["female"],
        "age": ["young-adult"],
        "ethnicity": ["latino"],
        "eye_color": ["brown"],
        "hair_color": ["black"],
        "hair_length": ["long"],
        "emotion": ["joy"],
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=12,
)


def test_a_document_of_generated_photos_api() -> None:
    attributes = visual_attributes(API)
    assert attributes == {
        "gender": "female",
        "age": "young-adult",
        "ethnicity": "latino",
        "eye_color": "brown",
        "hair_color": "black",
        "hair_length": "long",
        "emotion": "joy",
    }
    assert labels_of(attributes) == ("young-adult", "Female", "Latino_Hispanic")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("joy", "joy"),
        (["joy", "surprise"], "joy and surprise"),
        ({"joy": 0.2, "neutral": 0.7, "sadness": 0.1}, "neutral"),
        ({"value": "joy", "confidence": 0.9}, "joy"),
        ([{"emotion": "joy", "confidence": 0.4}, {"emotion": "neutral", "confidence": 0.6}], "neutral"),
        (23.0, "23"),
        (True, "true"),
    ],
)
def test_values_come_as_words_lists_numbers_and_confidences(value: object, words: str) -> None:
    assert visual_attributes({"emotion": value})["emotion"] == words


@pytest.mark.parametrize(
    ("angles", "words"),
    [
        ({"yaw": 3, "pitch": -4, "roll": 1.5}, "facing the camera"),
        ({"yaw": -32.5, "pitch": 0, "roll": 0}, "turned to the side"),
        ({"yaw": 0, "pitch": 25, "roll": 0}, "tilted"),
    ],
)
def test_a_head_pose_in_degrees_becomes_words(angles: dict[str, float], words: str) -> None:
    assert visual_attributes({"headPose": angles}) == {"head_pose": words}


def test_names_in_other_spellings_are_the_same_attributes() -> None:
    attributes = visual_attributes({"faceAttributes": {"hairColour": "red", "sex": "Male", "race": "East Asian"}})
    assert attributes == {"hair_color": "red", "gender": "Male", "ethnicity": "East Asian"}


@pytest.mark.parametrize(
    ("attributes", "labels"),
    [
        ({"age": "34.5", "gender": "MALE", "ethnicity": "black"}, ("30-39", "Male", "Black")),
        ({"age": "03-Sep", "ethnicity": "asian"}, ("3-9", "", "asian")),
        ({"gender": "non-binary"}, ("", "non-binary", "")),
    ],
)
def test_labels_are_fairface_s_where_it_has_them(attributes: dict[str, str], labels: tuple[str, str, str]) -> None:
    assert labels_of(attributes) == labels


@pytest.mark.parametrize("age", ["-3", "999"])
def test_an_impossible_age_is_refused(age: str) -> None:
    with pytest.raises(LabelError, match="not an age"):
        labels_of({"age": age})


@pytest.mark.parametrize("document", [[], "text", 3, None, {}, {"id": 4}, {"meta": {}}])
def test_a_document_without_attributes_is_refused(document: object) -> None:
    with pytest.raises(LabelError):
        visual_attributes(document)


@given(JSON)
def test_any_json_gives_short_words_or_an_error(document: object) -> None:
    try:
        attributes = visual_attributes(json.loads(json.dumps(document)))
    except LabelError:
        return
    assert all(isinstance(value, str) and 0 < len(value) <= 60 for value in attributes.values())
