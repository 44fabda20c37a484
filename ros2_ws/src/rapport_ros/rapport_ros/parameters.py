"""ROS parameters from a typed settings Struct: declared with its descriptions and ranges, validated by its constraints.

A nested Struct becomes dotted names (`detector.score_threshold`). Values are read and validated all at once, on
configure; what was refused at declaration (wrong type, out of range) is kept and said then, because a lifecycle node
has no way to refuse in its constructor.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect as types
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from rapport_edge.errors import SettingsError

SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)

_LARGEST_INTEGER = 2**63 - 1
_LARGEST_FLOAT = 1.7e308


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One ROS parameter: its dotted name, default, type with constraints, and description."""

    name: str
    default: Any
    type: types.Type
    description: str


def parameter_specs(
    settings_type: type[msgspec.Struct], prefix: str = "", defaults: msgspec.Struct | None = None
) -> Iterator[ParameterSpec]:
    """Every parameter that a settings Struct stands for, in the order of its fields.

    Args:
        settings_type: every field has a default.
        prefix: stands before each name.
        defaults: gives other defaults than the Struct's own; a nested Struct may have been given some by its parent.

    Raises:
        TypeError: for a field without default, or of a type that ROS parameters cannot hold (a mistake in the code).
    """
    descriptions = attribute_descriptions(settings_type)
    info = types.type_info(settings_type)
    assert isinstance(info, types.StructType)
    values = settings_type() if defaults is None else defaults
    for field in info.fields:
        name = f"{prefix}{field.encode_name}"
        if isinstance(field.type, types.StructType):
            yield from parameter_specs(field.type.cls, f"{name}.", getattr(values, field.name))
            continue
        default = msgspec.to_builtins(getattr(values, field.name))
        _refuse_unholdable(name, default)
        yield ParameterSpec(name, default, field.type, descriptions.get(field.name, ""))


def attribute_descriptions(settings_type: type) -> dict[str, str]:
    """Name to text of the `Attributes:` section of a docstring, so that a setting is described in one place."""
    section = re.split(r"^Attributes:$", inspect.getdoc(settings_type) or "", maxsplit=1, flags=re.MULTILINE)
    if len(section) < 2:
        return {}
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines():
        start = re.match(r"    (\w[\w, ]*): (.*)", line)
        if start:
            names = [name.strip() for name in start.group(1).split(",")]
            found.update(dict.fromkeys(names, start.group(2).strip()))
        elif line.strip() and names:
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


def _refuse_unholdable(name: str, default: Any) -> None:
    values = default if isinstance(default, (list, tuple)) else [default]
    if not all(isinstance(value, (bool, int, float, str)) for value in values):
        raise TypeError(f"parameter {name}: a ROS parameter cannot hold {default!r}")


class StructParameters(Generic[SettingsT]):
    """The parameters of one node that stand for one settings Struct.

    Args:
        node: declares the parameters at once; overrides from the command line and parameter files apply.
        settings_type: every field has a default.
    """

    def __init__(self, node: Node, settings_type: type[SettingsT]) -> None:
        self._node = node
        self._type = settings_type
        self._specs = list(parameter_specs(settings_type))
        self._refused: dict[str, str] = {}
        for spec in self._specs:
            self._declare(spec)
        node.add_post_set_parameters_callback(self._accept)

    def read(self) -> SettingsT:
        """The settings as they are now, validated.

        Raises:
            SettingsError: names the parameter, what it was, and what is allowed.
        """
        for name in self._unknown_overrides():
            raise SettingsError(f"unknown parameter {name}; {_suggestion(name, self._names())}")
        if self._refused:
            raise SettingsError("; ".join(f"parameter {name}: {why}" for name, why in self._refused.items()))
        values: dict[str, Any] = {}
        for spec in self._specs:
            _set_nested(values, spec.name, _plain(self._node.get_parameter(spec.name).value))
        try:
            return msgspec.convert(values, self._type)
        except msgspec.ValidationError as error:
            raise SettingsError(self._readable(error)) from error

    def _readable(self, error: msgspec.ValidationError) -> str:
        """Msgspec's "Expected `float` < 1.0 - at `$.detector.score`" with the parameter's name, value and limits."""
        text, separator, path = str(error).partition(" - at `$.")
        name = path.rstrip("`").partition("[")[0]
        if not separator or name not in self._names():
            return str(error)
        allowed = next(constraints_text(spec.type) for spec in self._specs if spec.name == name)
        hint = f" ({allowed})" if allowed else ""
        return f"parameter {name} is {self._node.get_parameter(name).value!r}: {text}{hint}"

    def _accept(self, parameters: list[Parameter]) -> None:
        """A value that was set later replaces the one that was refused at the start."""
        for parameter in parameters:
            self._refused.pop(parameter.name, None)

    def _names(self) -> list[str]:
        return [spec.name for spec in self._specs]

    def _unknown_overrides(self) -> list[str]:
        known = {*self._names(), "use_sim_time", "start_type_description_service"}
        overrides = self._node._parameter_overrides  # rclpy has no public view of what was given but not declared
        return sorted(name for name in overrides if name not in known and not name.startswith("qos_overrides."))

    def _declare(self, spec: ParameterSpec) -> None:
        descriptor = _descriptor(spec)
        # An empty list has no type of its own, and an integer is a fine value for a float: msgspec checks both.
        default = spec.default if not isinstance(spec.default, tuple) else list(spec.default)
        try:
            self._node.declare_parameter(spec.name, default, descriptor)
        except (InvalidParameterTypeException, InvalidParameterValueException):
            given = self._node._parameter_overrides[spec.name].value
            self._refused[spec.name] = f"{given!r} is not {descriptor.additional_constraints or 'of its type'}"
            self._node.declare_parameter(spec.name, default, descriptor, ignore_override=True)


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description, dynamic_typing=True)
    descriptor.additional_constraints = constraints_text(spec.type)
    if isinstance(spec.type, types.FloatType) and _bounded(spec.type):
        low, high = _inclusive(spec.type, -_LARGEST_FLOAT, _LARGEST_FLOAT)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    if isinstance(spec.type, types.IntType) and _bounded(spec.type):
        low, high = _inclusive(spec.type, -_LARGEST_INTEGER, _LARGEST_INTEGER)
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor


def constraints_text(type_: types.Type) -> str:
    """What a value must satisfy, in words: "at least 0, below 1", "one of auto, tensorrt"."""
    if isinstance(type_, types.LiteralType):
        return "one of " + ", ".join(str(value) for value in type_.values)
    if isinstance(type_, types.EnumType):
        return "one of " + ", ".join(str(member.value) for member in type_.cls)
    if not isinstance(type_, (types.IntType, types.FloatType)):
        return ""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    bounds = ((word, getattr(type_, key)) for key, word in words.items())
    return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def _bounded(type_: types.IntType | types.FloatType) -> bool:
    return any(bound is not None for bound in (type_.ge, type_.gt, type_.le, type_.lt))


def _inclusive(type_: types.IntType | types.FloatType, smallest: float, largest: float) -> tuple[float, float]:
    """ROS ranges include their ends; an exclusive end is left to msgspec, which has the last word."""
    low = next((bound for bound in (type_.ge, type_.gt) if bound is not None), smallest)
    high = next((bound for bound in (type_.le, type_.lt) if bound is not None), largest)
    return low, high


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str, type(None))) else list(value)


def _set_nested(values: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"this node knows {', '.join(known)}"
