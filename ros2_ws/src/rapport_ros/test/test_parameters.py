"""ROS parameters from settings Structs, on real nodes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from rapport_edge.errors import SettingsError
from rapport_ros.managed_node import ManagedNode
from rapport_ros.parameters import attribute_descriptions, parameter_specs


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Inner.

    Attributes:
        mode: how it works,
            in two lines.
        size: width and height.
    """

    mode: Literal["fast", "exact"] = "fast"
    size: tuple[int, int] = (320, 256)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"side": "/humans/faces/width"}):
    """Outer.

    Attributes:
        rate: Hz.
        side: pixels.
    """

    rate: Annotated[float, msgspec.Meta(ge=0.0, lt=100.0)] = 1.0
    side: Annotated[int, msgspec.Meta(ge=16, le=1024)] = 128
    inner: Inner = Inner()
    other: Inner = Inner(size=(64, 64))


class Probe(ManagedNode[Settings]):
    def __init__(self, **parameters):
        self.seen = []
        self.torn_down = 0
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        super().__init__("probe", Settings, parameter_overrides=overrides)

    def set_up(self, settings):
        if settings.inner.mode == "exact":
            raise SettingsError("exact needs a file")
        self.seen.append(settings)

    def tear_down(self):
        self.torn_down += 1


@pytest.fixture
def probe(graph):
    return lambda **parameters: graph.add(Probe(**parameters))


def test_names_follow_the_nesting_and_descriptions_the_docstring():
    assert [spec.name for spec in parameter_specs(Settings)] == [
        "rate", "/humans/faces/width", "inner.mode", "inner.size", "other.mode", "other.size",
    ]  # fmt: skip
    assert attribute_descriptions(Inner) == {"mode": "how it works, in two lines.", "size": "width and height."}


def test_defaults_that_a_parent_gives_are_kept():
    defaults = {spec.name: spec.default for spec in parameter_specs(Settings)}
    assert (defaults["inner.size"], defaults["other.size"]) == ((320, 256), (64, 64))


def test_defaults_and_overrides(probe):
    node = probe(**{"rate": 5, "/humans/faces/width": 64, "inner.size": [64, 32]})
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.seen == [Settings(rate=5.0, side=64, inner=Inner(size=(64, 32)))]


def test_descriptors_carry_limits(probe):
    node = probe()
    assert node.describe_parameter("/humans/faces/width").integer_range[0].to_value == 1024
    assert node.describe_parameter("rate").description == "Hz."
    assert node.describe_parameter("inner.mode").additional_constraints == "one of exact, fast"


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"rate": -1.0}, "rate: -1.0 is not at least 0, below 100"),
        ({"rate": "often"}, "rate is 'often'"),
        ({"rate": 100.0}, "rate is 100.0"),
        ({"/humans/faces/width": 4}, "/humans/faces/width: 4 is not at least 16"),
        ({"inner.mode": "slow"}, "inner.mode is 'slow'"),
        ({"inner.size": [1, 2, 3]}, "inner.size"),
        ({"inner.moed": "fast"}, "unknown parameter inner.moed; did you mean inner.mode?"),
        ({"inner.mode": "exact"}, "exact needs a file"),
    ],
)
def test_a_refused_value_is_named_and_nothing_is_left_behind(probe, parameters, reason):
    node = probe(**parameters)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert reason in node.refusal
    assert node.seen == [] and node.torn_down == 1


def test_a_value_that_is_corrected_later_is_taken(probe):
    node = probe(**{"/humans/faces/width": 4})
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    node.set_parameters([Parameter("/humans/faces/width", value=32)])
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.seen[0].side == 32
