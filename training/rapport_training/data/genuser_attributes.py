"""Visual attributes of a face as generated.photos and others write them, brought to one form.

The service's API gives a document per face: {"id": ..., "urls": [...], "meta": {"confidence": 99.7,
"gender": ["male"], "age": ["young-adult"], "ethnicity": ["latino"], "emotion": ["joy"], "eye_color": ["brown"],
"hair_color": ["black"], "hair_length": ["short"]}}. Other sources add a head pose, and have numbers or confidences for
words. So a value may be a word, a number, a list, or an object of confidences or of angles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rapport_edge.labels import AGE_BINS, LabelError, parse_age, parse_gender, parse_race
from rapport_training.data.captioners.wording import bin_of

#: Objects that hold the attributes in documents with more around them.
_WRAPPERS: Final = ("meta", "attributes", "face_attributes", "visual_attributes", "labels")
#: What describes the document or the picture, not the person.
_NOT_VISUAL: Final = frozenset(
    (
        *("id", "version", "confidence", "url", "urls", "file", "filename", "file_name", "path", "image", "image_url"),
        *("source", "name", "date", "created", "created_at", "updated_at", "width", "height", "landmarks"),
        *("bounding_box", "bbox", "face_rectangle", "caption", "description", "profile", "license"),
    )
)
_ALIASES: Final = {
    "race": "ethnicity",
    "sex": "gender",
    "age_group": "age",
    "expression": "emotion",
    "pose": "head_pose",
    "headpose": "head_pose",
    "haircolor": "hair_color",
    "hair_colour": "hair_color",
    "eyes_color": "eye_color",
    "eye_colour": "eye_color",
}
_ANGLES: Final = frozenset({"yaw", "pitch", "roll"})
#: Degrees up to which a face looks at the camera.
_FRONTAL: Final = 15.0
_RACES: Final = {"latino": "Latino_Hispanic", "hispanic": "Latino_Hispanic", "latina": "Latino_Hispanic"}
_LONGEST: Final = 60


def visual_attributes(document: Any) -> dict[str, str]:
    """Name and value of each attribute, both as text; what is no attribute of a person is left out.

    Of several confidences the highest counts. Head angles become "facing the camera", "turned to the side" or "tilted":
    which way a positive angle turns differs between sources.

    Args:
        document: parsed JSON.

    Raises:
        LabelError: if it is not an object, or has no attribute at all.
    """
    if not isinstance(document, Mapping):
        raise LabelError(f"it holds {type(document).__name__}, not an object with attributes")
    named = _unwrapped({_snake(str(name)): value for name, value in document.items()})
    attributes = {}
    for name, value in named.items():
        text = "" if name in _NOT_VISUAL or name.endswith("_id") else _text(value)
        if text and len(text) <= _LONGEST:
            attributes[_ALIASES.get(name, name)] = text
    if not attributes:
        raise LabelError("it has no visual attributes")
    return attributes


def labels_of(attributes: Mapping[str, str]) -> tuple[str, str, str]:
    """Age, gender and race: FairFace's names where there is one for the value, else the source's own word, "" for none.

    Raises:
        LabelError: if an age in years is none.
    """
    gender = _known(attributes.get("gender", ""), parse_gender)
    race = attributes.get("ethnicity", "")
    race = _RACES.get(race.casefold()) or _known(race, parse_race)
    return _age(attributes.get("age", "")), gender, race


def _age(text: str) -> str:
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return _known(text, parse_age)
    try:
        return bin_of(float(text))
    except ValueError as error:
        raise LabelError(f"age {text} is not an age in years; known bins are {', '.join(AGE_BINS)}") from error


def _known(text: str, parse: Any) -> str:
    try:
        return str(parse(text))
    except LabelError:
        return text


def _unwrapped(named: dict[str, Any]) -> dict[str, Any]:
    for wrapper in _WRAPPERS:
        inside = named.get(wrapper)
        if isinstance(inside, list) and len(inside) == 1:
            inside = inside[0]
        if isinstance(inside, Mapping):
            return {_snake(str(name)): value for name, value in inside.items()}
    return named


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").replace(" ", "_").casefold()


def _text(value: Any) -> str:
    """A value of any form as words; "" if it is none that describes somebody."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return _of_list(value)
    return _of_object(value) if isinstance(value, Mapping) else ""


def _of_list(values: list[Any]) -> str:
    """One text, or several joined; of objects with confidences the surest."""
    objects = [value for value in values if isinstance(value, Mapping)]
    if objects and len(objects) == len(values):
        return _of_object(max(objects, key=lambda value: _number(value.get("confidence", value.get("score", 0.0)))))
    return " and ".join(filter(None, (_text(value) for value in values if not isinstance(value, list))))


def _of_object(value: Mapping[str, Any]) -> str:
    if _ANGLES & value.keys():
        return _pose(_number(value.get("yaw")), _number(value.get("pitch")), _number(value.get("roll")))
    measures = ("confidence", "score", "probability")
    numbers = {name: number for name, number in value.items() if _is_number(number) and name not in measures}
    if numbers and len(numbers) == len(value):
        return max(sorted(numbers), key=lambda name: numbers[name])
    words = [_text(word) for name, word in value.items() if name not in measures and not isinstance(word, Mapping)]
    return words[0] if len(words) == 1 else ""


def _pose(yaw: float, pitch: float, roll: float) -> str:
    if abs(yaw) > _FRONTAL:
        return "turned to the side"
    return "facing the camera" if max(abs(pitch), abs(roll)) <= _FRONTAL else "tilted"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else 0.0
