"""Lets torchvision be imported beside a torch that its compiled operators were not built for.

PyPI has no CPU build of torchvision: on a machine with a CPU build of torch its operators do not load, and importing it
stops at "operator torchvision::nms does not exist". timm and open_clip need the import, never the operators, so
declaring the two schemas is enough.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_library = None  # a torch Library undeclares its operators when it is collected


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing, but is asked first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Declares the operators when torchvision is about to be imported."""
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            _declare_missing_operators()
        return None


def declare_before_torchvision() -> None:
    """Has the operators declared when torchvision is imported, and not before: a command's help needs no torch."""
    if "torchvision" not in sys.modules:
        sys.meta_path.insert(0, _BeforeTorchvision())


def _declare_missing_operators() -> None:
    """Does nothing where torch is a GPU build, whose torchvision has its operators."""
    global _library  # noqa: PLW0603 - must live as long as the process
    import torch

    if torch.version.cuda is not None:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not _is_declared("torchvision::" + schema.split("(")[0]):
            library.define(schema)
    _library = library


def _is_declared(name: str) -> bool:
    import torch

    return bool(torch._C._dispatch_has_kernel(name)) or name in torch._C._dispatch_get_all_op_names()
