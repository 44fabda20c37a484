"""Compiled plans on disk: each is valid for one model on one machine, and this module decides for which.

One file holds a header line in JSON (the key, and the plan's SHA-256) and the plan. It appears whole or not at all: it
is written under a temporary name, flushed to the disk and renamed. Knows nothing of TensorRT.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import ModelError

_log = logging.getLogger(__name__)

_MAGIC = b"RAPPORT-PLAN-1\n"

_LEFTOVER_SECONDS = 3600.0

#: Tells whether a plan may be used: None, or the reason why not.
Accept = Callable[[bytes], "str | None"]


class PlanKey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a plan depends on.

    Attributes:
        onnx_sha256: of the model.
        precision: how the builder chose number formats.
        shape_profile: smallest, optimal and largest shape of each input, in words.
        tensorrt, cuda: full versions.
        gpu, compute_capability: of the device that it was built on.
    """

    onnx_sha256: str
    precision: str
    shape_profile: str
    tensorrt: str
    cuda: str
    gpu: str
    compute_capability: str

    def differences(self, other: PlanKey) -> list[str]:
        """Like "tensorrt 10.3.0 instead of 10.7.0", for each field of this (found) key that is not the wanted one."""
        return [
            f"{field} {getattr(self, field)} instead of {getattr(other, field)}"
            for field in self.__struct_fields__
            if getattr(self, field) != getattr(other, field)
        ]

    @property
    def file_name(self) -> str:
        """Named by what an operator chooses; what the machine decides is compared, so that a change is explained."""
        chosen = "\n".join((self.onnx_sha256, self.precision, self.shape_profile))
        return f"{self.onnx_sha256[:12]}-{hashlib.sha256(chosen.encode()).hexdigest()[:12]}.plan"


class _Header(msgspec.Struct, frozen=True):
    key: PlanKey
    plan_sha256: str


def default_cache_dir() -> Path:
    """rapport/plans in the user's cache directory (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "rapport" / "plans"


class PlanCache:
    """A folder of plans, one file for each model and shape profile."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, key: PlanKey) -> Path:
        """Where the plan for this model and profile lies, if there is one."""
        return self._directory / key.file_name

    def load(self, key: PlanKey) -> tuple[bytes | None, str]:
        """The plan for exactly this key and "", or None and the reason why there is none."""
        path = self.path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None, f"no plan at {path}"
        except OSError as error:
            return None, f"{path}: {error.strerror or error}"
        line, _, plan = data.removeprefix(_MAGIC).partition(b"\n")
        try:
            header = msgspec.json.decode(line, type=_Header) if data.startswith(_MAGIC) else None
        except msgspec.DecodeError:
            header = None
        if header is None:
            return None, f"{path} is not a plan of this format"
        if differences := header.key.differences(key):
            return None, f"{path} was built for {', '.join(differences)}"
        if hashlib.sha256(plan).hexdigest() != header.plan_sha256:
            return None, f"{path} is damaged: its checksum does not match"
        return plan, ""

    def store(self, key: PlanKey, plan: bytes) -> None:
        """Replaces the plan for this model and profile; a reader sees the old one or the new one, never a part.

        Raises:
            OSError: if the folder cannot be written or is full; what was there before stays.
        """
        header = msgspec.json.encode(_Header(key, hashlib.sha256(plan).hexdigest()))
        self._directory.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers(key)
        write_atomically(self.path(key), b"".join([_MAGIC, header, b"\n", plan]))

    def _remove_leftovers(self, key: PlanKey) -> None:
        """Temporary folders of writers that were killed; young ones may belong to a writer at work."""
        for path in self._directory.glob(f".{key.file_name}.*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


def load_or_build(cache: PlanCache, key: PlanKey, build: Callable[[], bytes], accept: Accept, model: str) -> bytes:
    """A plan that was accepted: from the cache, or built, accepted and then kept.

    Args:
        cache: where plans are kept.
        key: what the plan must have been built for.
        build: compiles the model; takes minutes on a small robot, so why it is called is logged.
        accept: runs the plan against golden inputs.
        model: name for the log and for errors.

    Raises:
        ModelError: if the plan just built is not accepted, or as `build` does.
    """
    plan, reason = cache.load(key)
    if plan is not None:
        refusal = accept(plan)
        if refusal is None:
            _log.info("%s: using the plan at %s", model, cache.path(key))
            return plan
        reason = f"the plan at {cache.path(key)} is not usable: {refusal}"
    _log.warning("%s: building a plan, which may take minutes, because: %s", model, reason)
    plan = build()
    refusal = accept(plan)
    if refusal is not None:
        raise ModelError(f"{model}: the plan just built is not usable: {refusal}")
    try:
        cache.store(key, plan)
    except OSError as error:
        _log.warning("%s: the plan could not be kept and will be built again next time: %s", model, error)
    return plan
