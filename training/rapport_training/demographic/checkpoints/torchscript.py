"""Parameters and buffers of a TorchScript archive, read without running any of its code.

`torch.jit.load` runs the archive's own `__setstate__`, and TorchScript has an operator that writes files: a program in
disguise. An archive is a zip file whose data.pkl builds a tree of modules, whose data/ holds the numbers, and whose
code/ declares which attributes are parameters or buffers; that is all that is read here.
"""

from __future__ import annotations

import ast
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
#: Calls that only say of what type a value is.
_TYPED = {
    ("torch.jit._pickle", name)
    for name in ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
} | {("torch", "device")}


class _Module:
    """A module of the archive: its attributes, without its code."""

    declared_in: str
    class_name: str
    attributes: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"GLOBAL {self.class_name}.__setstate__ is code of the archive")
        self.attributes = state


def read_torchscript(file: Path) -> dict[str, Tensor]:
    """What `torch.jit.load(file).state_dict()` would give, on the CPU.

    Raises:
        pickle.UnpicklingError: if the archive refers to anything but modules and tensors.
        zipfile.BadZipFile, KeyError, ValueError, RuntimeError, TypeError: if it is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        data = next(name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl"))
        root = data.removesuffix("/data.pkl")
        with archive.open(data) as stream:
            top = _Unpickler(stream, archive, root).load()
        if not isinstance(top, _Module):
            raise pickle.UnpicklingError("the archive holds no module")
        return dict(_tensors(top, "", cache(lambda module, name: _declared(archive, root, module, name))))


class _Unpickler(pickle.Unpickler):
    """Knows tensors, plain values and modules; refuses every other name."""

    def __init__(self, stream: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(stream)
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return type(name, (_Module,), {"declared_in": module, "class_name": name})
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) in _TYPED:
            return _value
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"GLOBAL {module}.{name} is no part of a module's weights")

    def persistent_load(self, pid: Any) -> Tensor:
        """A flat tensor over one of the archive's storages: ("storage", dtype, key, device, number of elements)."""
        _, dtype, key, _, _ = pid
        content = bytearray(self._archive.read(f"{self._root}/data/{key}"))  # writable, and checked by its CRC
        return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset)  # refuses to look beyond the storage


def _value(value: Any, *_: Any) -> Any:
    return value


def _tensors(module: _Module, prefix: str, declared: Callable[[str, str], set[str] | None]) -> Any:
    """Pairs of a state dict, in the archive's order."""
    names = declared(module.declared_in, module.class_name)
    for name, value in module.attributes.items():
        if isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.", declared)
        elif isinstance(value, Tensor) and (names is None or name in names):
            yield prefix + name, value


def _declared(archive: zipfile.ZipFile, root: str, module: str, name: str) -> set[str] | None:
    """Parameters and buffers that the archive's source of a class lists; None where there is no such list."""
    source = archive.read(f"{root}/code/{module.replace('.', '/')}.py").decode()
    body = re.search(rf"^class {re.escape(name)}\(Module\):\n((?:  __\w+__ = .*\n)*)", source, re.MULTILINE)
    lists = re.findall(r"^  __(?:parameters|buffers)__ = (\[.*\])$", body.group(1) if body else "", re.MULTILINE)
    return {entry for found in lists for entry in ast.literal_eval(found)} if lists else None
