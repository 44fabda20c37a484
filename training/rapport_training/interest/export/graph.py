"""A click model as the robot runs it: one person's history, any number of candidates, values instead of indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from rapport_training.interest.batch import PADDING
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.onnx_program import onnx_file

#: Most candidates of one ranking, which is what the graph is checked for at export.
MOST_ITEMS: Final = 100_000


@dataclass(frozen=True)
class GraphInputs:
    """What the graph of one model takes, in order.

    Attributes:
        user_columns: values of a user that the model looks at; 0: no input `user`.
        item_columns: values of an item.
        age: whether the model uses the age of behaviours.
        content_dim: D; None for a model without content.
    """

    user_columns: int
    item_columns: int
    age: bool
    content_dim: int | None

    @property
    def shapes(self) -> dict[str, tuple[str | int, ...]]:
        """Shape by name, in the graph's order."""
        shapes: dict[str, tuple[str | int, ...]] = {} if not self.user_columns else {"user": (self.user_columns,)}
        shapes |= {"items": ("items", self.item_columns), "history": ("history", self.item_columns)}
        if self.age:
            shapes["age"] = ("history",)
        if self.content_dim is not None:
            shapes |= {"item_content": ("items", self.content_dim), "history_content": ("history", self.content_dim)}
        return shapes


class RankerGraph(nn.Module):
    """`CtrModel.score_values` for one person.

    Args:
        model: in evaluation mode, on the CPU.
    """

    def __init__(self, model: CtrModel) -> None:
        super().__init__()
        recipe = model.recipe
        self.model = model
        self._unused = 0 if recipe.use_user_id else model.user_fields[0].columns
        self.inputs = GraphInputs(
            user_columns=sum(field.columns for field in model.user_fields) - self._unused,
            item_columns=sum(field.columns for field in model.item_fields),
            age=recipe.position == "age" and recipe.model in ("bst", "sim", "twin") and recipe.modules.id,
            content_dim=model.content_dim if recipe.uses_content else None,
        )

    def forward(self, *given: Tensor) -> Tensor:
        """The inputs that `inputs.shapes` names -> (items,) probabilities of a click."""
        feeds = dict(zip(self.inputs.shapes, given, strict=True))
        history = feeds["history"][None]
        user = torch.zeros((1, self._unused), dtype=torch.int64)
        if "user" in feeds:
            user = torch.cat([user, feeds["user"][None]], dim=1)
        logits = self.model.score_values(
            user,
            feeds["items"],
            history,
            history[..., 0] != PADDING,
            feeds["age"][None] if "age" in feeds else None,
            feeds.get("item_content"),
            feeds["history_content"][None] if "history_content" in feeds else None,
        )
        return torch.sigmoid(logits)


def export_graph(graph: RankerGraph, example: Mapping[str, Tensor], longest: int) -> bytes:
    """The ONNX file.

    Args:
        graph: the model.
        example: inputs by name, at least two candidates and two events.
        longest: events of a history at most.
    """
    sizes = {
        "items": torch.export.Dim("items", min=1, max=MOST_ITEMS),
        "history": torch.export.Dim("history", min=1, max=longest),
    }
    shapes = graph.inputs.shapes
    axes: list[dict[int, Any]] = [
        {place: sizes[size] for place, size in enumerate(shape) if isinstance(size, str)} for shape in shapes.values()
    ]
    with torch.no_grad():
        return onnx_file(graph, [example[name] for name in shapes], list(shapes), ["scores"], [tuple(axes)])
