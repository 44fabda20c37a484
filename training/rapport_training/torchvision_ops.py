"""Lets torchvision be imported beside a torch that its compiled operators were not built for.

PyPI has no CPU build of torchvision: on a machine with a CPU build of torch its operators do not load, and importing it
stops at "operator torchvision::nms does not exist". timm and open_clip need the import, never the operators, so
declaring the two schemas is enough.
"""

from __future__ import annotations

from importlib.util import find_spec

_library = None  # a torch Library undeclares its operators when it is collected


def declare_missing_operators() -> None:
    """Does nothing where torchvision is absent or its operators load."""
    global _library  # noqa: PLW0603 - must live as long as the process
    if _library is not None or find_spec("torchvision") is None:
        return
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
