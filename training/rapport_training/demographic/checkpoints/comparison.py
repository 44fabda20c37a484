"""Whether a file's tensors are those of a model, name by name and shape by shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rapport_training.demographic.checkpoints.positions import POSITIONS

_SHOWN = 3


@dataclass(frozen=True)
class Comparison:
    """What stands between a file and a model; all empty if they fit.

    Attributes:
        missing: names that the model has and the file lacks.
        unexpected: names that the file has and the model lacks.
        misshapen: name, then what the file and what the model holds under it.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[tuple[str, str, str], ...]

    @property
    def fits(self) -> bool:
        """Whether every tensor has its place and every place its tensor."""
        return not (self.missing or self.unexpected or self.misshapen)

    def describe(self) -> str:
        """One line: how many of each kind, and the first few by name."""
        odd = [f"{name} is {file} in the file and {model} in the model" for name, file, model in self.misshapen]
        kinds = {"missing": self.missing, "unexpected": self.unexpected, "misshapen": odd}
        parts = [f"{len(found)} {kind} ({_first(found)})" for kind, found in kinds.items() if found]
        resizable = all(name in POSITIONS for name, _, _ in self.misshapen) and not (self.missing or self.unexpected)
        advice = "; ask for position embeddings to be resized (resize_positions)" if resizable else ""
        return "; ".join(parts) + advice


def compare(weights: Mapping[str, Tensor], model: nn.Module) -> Comparison:
    """Holds weights against a model, which may be on the device "meta"."""
    wanted = model.state_dict()
    return Comparison(
        missing=tuple(name for name in wanted if name not in weights),
        unexpected=tuple(name for name in weights if name not in wanted),
        misshapen=tuple(
            (name, _shape(weights[name]), _shape(tensor))
            for name, tensor in wanted.items()
            if name in weights and not _same_kind(weights[name], tensor)
        ),
    )


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that hold NaN or infinity."""
    return [name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())]


def _same_kind(found: Tensor, wanted: Tensor) -> bool:
    return found.shape == wanted.shape and found.is_floating_point() == wanted.is_floating_point()


def _shape(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f"{str(tensor.dtype).removeprefix('torch.')} "
    return kind + str(tuple(tensor.shape))


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
