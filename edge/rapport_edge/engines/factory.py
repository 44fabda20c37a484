"""Chooses the engine that the settings name, or the fastest that this machine can run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from rapport_edge.engines.base import Engine
from rapport_edge.engines.feeds import Feeds
from rapport_edge.engines.onnx_file import OnnxFile
from rapport_edge.engines.onnxruntime_engine import OnnxRuntimeEngine, cuda_obstacle
from rapport_edge.engines.settings import EngineSettings
from rapport_edge.engines.tensorrt_engine import TensorRTEngine, tensorrt_obstacle
from rapport_edge.errors import ModelError

_log = logging.getLogger(__name__)


def create_engine(model: Path | bytes, settings: EngineSettings, golden: Sequence[Feeds] = ()) -> Engine:
    """An engine that is ready to run one model. Which one and why is in its `description` and in the log.

    Args:
        model: path of an ONNX file, or a serialised model whose weights are inside.
        settings: "auto" tries TensorRT, then CUDA, then the CPU, and names what stood in the way of the faster ones;
            any other name is an error when it cannot be had.
        golden: inputs on which a TensorRT plan must answer as ONNX Runtime does; also its shapes, for axes of any size.

    Raises:
        ModelError: naming the file and the reason.
    """
    file = OnnxFile(model)
    if settings.name == "auto":
        engine = _fastest(model, settings, golden, file.name)
    else:
        engine = _create(settings.name, model, settings, golden, "as the settings ask")
    _log.info("%s runs on %s", file.name, engine.description)
    return engine


def _fastest(model: Path | bytes, settings: EngineSettings, golden: Sequence[Feeds], name: str) -> Engine:
    OnnxFile(model).check()  # a broken file is no reason to try the next engine
    obstacles: list[str] = []
    for candidate, obstacle in (("tensorrt", tensorrt_obstacle()), ("onnxruntime-cuda", cuda_obstacle())):
        if obstacle is not None:
            obstacles.append(f"no {candidate}: {obstacle}")
            continue
        try:
            return _create(candidate, model, settings, golden, _because(obstacles))
        except ModelError as error:
            # Installed but not usable is worth a warning: somebody expects the GPU to be in use.
            _log.warning("%s: %s cannot be used: %s", name, candidate, error)
            obstacles.append(f"no {candidate}: {str(error).removeprefix(f'{name}: ')}")
    return _create("onnxruntime-cpu", model, settings, golden, _because(obstacles))


def _because(obstacles: list[str]) -> str:
    return "; ".join(["auto: fastest that runs here", *obstacles])


def _create(name: str, model: Path | bytes, settings: EngineSettings, golden: Sequence[Feeds], reason: str) -> Engine:
    if name == "tensorrt":
        return TensorRTEngine(model, settings, golden, reason)
    return OnnxRuntimeEngine(model, settings, "cuda" if name == "onnxruntime-cuda" else "cpu", reason)
