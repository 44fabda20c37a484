"""Which engine runs a model, and with how much of the machine."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

EngineName: TypeAlias = Literal["auto", "onnxruntime-cpu", "onnxruntime-cuda", "tensorrt"]


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one engine.

    Attributes:
        name: "auto" takes the fastest that this machine can run and logs why; any other is taken or refused.
        threads: CPU threads for one operator. They sleep between runs, so that a robot's other programs keep the cores.
        inter_threads: operators of one model that may run side by side; pays only for models with parallel branches.
        device_id: which GPU.
        max_batch: largest batch that a TensorRT plan accepts; plans are tuned for a batch of 1.
        cache_dir: where compiled plans are kept; "" is rapport/plans in the user's cache directory.
    """

    name: EngineName = "auto"
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    inter_threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    device_id: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    cache_dir: str = ""
