"""TensorRT 10 and 11.

Not run by this project's tests, which have no GPU: written against NVIDIA's Python API documentation and samples
(docs.nvidia.com/deeplearning/tensorrt, "Python API Documentation" of 10.x and 11.x). What can be tested without a GPU
lies in plan_cache, shape_profile and golden, and is tested there.

Networks are strongly typed: number formats are those of the ONNX file. That is all that TensorRT 11 offers, and what
TensorRT 10 does under the flag. Plans are built on the device and kept in a cache, see plan_cache.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.engines.base import TensorInfo
from rapport_edge.engines.cuda_runtime import DeviceBuffer, call, import_cudart
from rapport_edge.engines.feeds import Feeds, check_feeds
from rapport_edge.engines.golden import disagreement, made_up_feeds
from rapport_edge.engines.onnx_file import OnnxFile
from rapport_edge.engines.onnxruntime_engine import OnnxRuntimeEngine
from rapport_edge.engines.plan_cache import PlanCache, PlanKey, default_cache_dir, load_or_build
from rapport_edge.engines.settings import EngineSettings
from rapport_edge.engines.shape_profile import ShapeRange, shape_profile
from rapport_edge.errors import ModelError

_log = logging.getLogger(__name__)


def tensorrt_obstacle() -> str | None:
    """Why TensorRT cannot run here, or None when it can: its package, cuda-python and a GPU are present."""
    if importlib.util.find_spec("tensorrt") is None:
        return "the package tensorrt is not installed"
    try:
        importlib.import_module("tensorrt")
        cudart = import_cudart()
        count = call(cudart.cudaGetDeviceCount())
    except (ImportError, OSError, RuntimeError, ModelError) as error:
        return f"TensorRT or CUDA cannot be used: {error}"
    return None if count else "no GPU found"


class TensorRTEngine:
    """One compiled plan; `run` takes turns, because a plan's execution context serves one caller at a time.

    Args:
        model: path of an ONNX file, or a serialised model whose weights are inside.
        settings: GPU, largest batch and cache directory; `name` is not looked at.
        golden: inputs on which the plan must answer as ONNX Runtime on the CPU does; without any, fixed noise is used.
        reason: why this engine was chosen, for `description`.

    Raises:
        ModelError: if TensorRT cannot run here, does not take the model, or answers differently.
    """

    def __init__(
        self, model: Path | bytes, settings: EngineSettings, golden: Sequence[Feeds] = (), reason: str = ""
    ) -> None:
        file = OnnxFile(model)
        self._name = file.name
        if obstacle := tensorrt_obstacle():
            raise ModelError(f"{file.name}: cannot run on TensorRT: {obstacle}")
        self._trt, self._cudart = importlib.import_module("tensorrt"), import_cudart()
        self._device_id = settings.device_id
        call(self._cudart.cudaSetDevice(settings.device_id))
        self._logger = _logger(self._trt)
        self._lock = threading.Lock()
        self._stream = call(self._cudart.cudaStreamCreate())
        self._prepare(file, settings, golden)
        device = call(self._cudart.cudaGetDeviceProperties(settings.device_id))
        where = f"TensorRT {self._trt.__version__} on {_device_name(device)}"
        self._description = where + (f" ({reason})" if reason else "")

    @property
    def description(self) -> str:
        """What runs the model and why it was chosen."""
        return self._description

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        """What the model takes."""
        return self._inputs

    @property
    def outputs(self) -> Sequence[TensorInfo]:
        """What the model gives, in the order of `run`."""
        return self._outputs

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """As `Engine.run`."""
        check_feeds(self._inputs, feeds, self._name)
        with self._lock:
            call(self._cudart.cudaSetDevice(self._device_id))  # the current device is a thread's own
            for info in self._inputs:
                self._bind_input(info, np.ascontiguousarray(feeds[info.name]))
            for info in self._outputs:
                size = np.dtype(info.dtype).itemsize * int(np.prod(self._output_shape(info)))
                self._context.set_tensor_address(info.name, self._buffers[info.name].reserve(max(1, size)))
            if not self._context.execute_async_v3(stream_handle=self._stream):
                raise ModelError(f"{self._name}: TensorRT could not start the run; its reason is in the log")
            answers = [self._download(info) for info in self._outputs]
            call(self._cudart.cudaStreamSynchronize(self._stream))
        return answers

    def _prepare(self, file: OnnxFile, settings: EngineSettings, golden: Sequence[Feeds]) -> None:
        """Loads a plan from the cache or builds one; the last that `accept` saw is the one in use."""
        file.check()
        reference = OnnxRuntimeEngine(file.source, settings, "cpu")
        golden = golden or made_up_feeds(reference.inputs, file.name)
        ranges = shape_profile(reference.inputs, settings.max_batch, golden, file.name)

        def accept(plan: bytes) -> str | None:
            if refusal := self._deserialize(plan):
                return refusal
            return disagreement(reference, self, golden)

        cache = PlanCache(Path(settings.cache_dir).expanduser() if settings.cache_dir else default_cache_dir())
        key = self._key(file, ranges, settings.device_id)
        load_or_build(cache, key, lambda: self._build(file, ranges), accept, file.name)

    def _key(self, file: OnnxFile, ranges: Sequence[ShapeRange], device_id: int) -> PlanKey:
        device = call(self._cudart.cudaGetDeviceProperties(device_id))
        return PlanKey(
            onnx_sha256=file.sha256(),
            precision="strongly typed",
            shape_profile=", ".join(map(str, ranges)),
            tensorrt=str(self._trt.__version__),
            cuda=str(call(self._cudart.cudaRuntimeGetVersion())),
            gpu=_device_name(device),
            compute_capability=f"{device.major}.{device.minor}",
        )

    def _build(self, file: OnnxFile, ranges: Sequence[ShapeRange]) -> bytes:
        trt = self._trt
        builder = trt.Builder(self._logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, self._logger)
        path = isinstance(file.source, Path)
        parsed = parser.parse_from_file(str(file.source)) if path else parser.parse(file.source)
        if not parsed:
            reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise ModelError(f"{file.name}: TensorRT does not take this model: {reasons}")
        profile = builder.create_optimization_profile()
        for shapes in ranges:
            profile.set_shape(shapes.name, shapes.smallest, shapes.optimal, shapes.largest)
        config = builder.create_builder_config()
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise ModelError(f"{file.name}: TensorRT could not build a plan; its reason is in the log")
        return bytes(plan)

    def _deserialize(self, plan: bytes) -> str | None:
        """Makes the plan the one that `run` uses; the reason when TensorRT does not take it."""
        self._runtime = self._trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            return "TensorRT cannot read it"
        self._context = self._engine.create_execution_context()
        if self._context is None:
            return "no memory for its execution context"
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        given = self._trt.TensorIOMode.INPUT
        self._inputs = [self._info(name) for name in names if self._engine.get_tensor_mode(name) == given]
        self._outputs = [self._info(name) for name in names if self._engine.get_tensor_mode(name) != given]
        self._buffers = {name: DeviceBuffer(self._cudart) for name in names}
        return None

    def _info(self, name: str) -> TensorInfo:
        try:
            dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name))).name
        except TypeError as error:
            raise ModelError(f"{self._name}: {name} has a number format that numpy does not know") from error
        shape = tuple(int(size) for size in self._engine.get_tensor_shape(name))
        return TensorInfo(name, tuple(None if size < 0 else size for size in shape), dtype)

    def _bind_input(self, info: TensorInfo, value: NDArray[Any]) -> None:
        if not self._context.set_input_shape(info.name, value.shape):
            raise ModelError(f"{self._name}: input {info.name} of shape {value.shape} is outside the plan's shapes")
        self._context.set_tensor_address(info.name, self._buffers[info.name].upload(value, self._stream))

    def _output_shape(self, info: TensorInfo) -> tuple[int, ...]:
        return tuple(int(size) for size in self._context.get_tensor_shape(info.name))

    def _download(self, info: TensorInfo) -> NDArray[Any]:
        return self._buffers[info.name].download(self._output_shape(info), info.dtype, self._stream)


def _device_name(device: Any) -> str:
    """cudaDeviceProp.name is bytes."""
    name = device.name
    return name.decode() if isinstance(name, bytes) else str(name)


def _logger(trt: Any) -> Any:
    """TensorRT's messages in Python's log."""
    levels = {
        trt.ILogger.Severity.INTERNAL_ERROR: logging.CRITICAL,
        trt.ILogger.Severity.ERROR: logging.ERROR,
        trt.ILogger.Severity.WARNING: logging.WARNING,
        trt.ILogger.Severity.INFO: logging.DEBUG,
        trt.ILogger.Severity.VERBOSE: logging.DEBUG,
    }

    class PythonLogger(trt.ILogger):  # type: ignore[misc]  # the base class exists only where TensorRT is installed
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            _log.log(levels.get(severity, logging.INFO), "TensorRT: %s", msg)

    return PythonLogger()
