"""ONNX Runtime on the CPU or on CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from rapport_edge.engines.base import TensorInfo
from rapport_edge.engines.feeds import check_feeds
from rapport_edge.engines.onnx_file import OnnxFile, computes_in_float16
from rapport_edge.engines.settings import EngineSettings
from rapport_edge.errors import ModelError

Device = Literal["cpu", "cuda"]

#: ONNX Runtime's exceptions have no base class of their own.
_ORT_ERRORS: tuple[type[Exception], ...] = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)

_NUMPY_NAMES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(uint32)": "uint32",
    "tensor(int64)": "int64",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

#: Only fatal messages: everything else reaches the caller as an exception, and is logged there with a name.
_LOG_FATAL = 4


class OnnxRuntimeEngine:
    """One model in one ONNX Runtime session; `run` may be called from several threads.

    Args:
        model: path of an ONNX file, or a serialised model whose weights are inside.
        settings: threads and GPU; `name` is not looked at.
        device: "cpu" or "cuda".
        reason: why this engine was chosen, for `description`.

    Raises:
        ModelError: naming the file: not ONNX, truncated, weights missing, or CUDA was asked for and is not in use. ONNX
            Runtime itself would go on with the CPU and print a line.
    """

    def __init__(self, model: Path | bytes, settings: EngineSettings, device: Device = "cpu", reason: str = "") -> None:
        file = OnnxFile(model)
        self._name = file.name
        options = _session_options(settings, file, device)
        self._session = _open(file, options, device, settings.device_id)
        self._inputs = [_tensor_info(node, file.name) for node in self._session.get_inputs()]
        self._outputs = [_tensor_info(node, file.name) for node in self._session.get_outputs()]
        self._output_names = [info.name for info in self._outputs]
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = _LOG_FATAL
        where = f"CUDA device {settings.device_id}" if device == "cuda" else f"CPU, {_threads(settings.threads)}"
        self._description = f"onnxruntime {ort.__version__} on {where}" + (f" ({reason})" if reason else "")

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
        try:
            return list(self._session.run(self._output_names, dict(feeds), self._run_options))
        except _ORT_ERRORS as error:
            raise ModelError(f"{self._name}: run failed: {_first_line(error)}") from error


def cuda_obstacle() -> str | None:
    """Why this installation of ONNX Runtime has no CUDA, or None when it may have (the driver is tried on opening)."""
    if "CUDAExecutionProvider" in ort.get_available_providers():
        return None
    return "the installed onnxruntime was built without CUDA; install onnxruntime-gpu instead"


def _session_options(settings: EngineSettings, file: OnnxFile, device: Device) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = settings.inter_threads
    if settings.inter_threads > 1:
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    # Spinning threads answer sooner but burn whole cores between frames, which a robot's other processes need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _LOG_FATAL
    half = computes_in_float16(file.check())
    if half and device == "cpu":
        # The layout optimiser crashes the process (no exception) on half-precision vision transformers.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return options


def _open(file: OnnxFile, options: ort.SessionOptions, device: Device, device_id: int) -> ort.InferenceSession:
    if device == "cuda" and (obstacle := cuda_obstacle()):
        raise ModelError(f"{file.name}: cannot run on CUDA: {obstacle}")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device_id}))
    source = str(file.source) if isinstance(file.source, Path) else file.source
    try:
        session = ort.InferenceSession(source, options, providers=providers, enable_fallback=0)
    except _ORT_ERRORS as error:
        raise ModelError(f"{file.name}: cannot be loaded: {_first_line(error)}") from error
    if _PROVIDERS[device] not in session.get_providers():
        raise ModelError(
            f"{file.name}: cannot run on CUDA: onnxruntime fell back to {', '.join(session.get_providers())}; "
            "the reason is on standard error: mostly a missing driver, CUDA or cuDNN, or another version"
        )
    return session


def _tensor_info(node: Any, model: str) -> TensorInfo:
    """From onnxruntime's NodeArg, whose shape has a name or None for an axis of any size."""
    dtype = _NUMPY_NAMES.get(node.type)
    if dtype is None:
        raise ModelError(f"{model}: {node.name} is a {node.type}, which Rapport's engines do not handle")
    return TensorInfo(node.name, tuple(size if isinstance(size, int) else None for size in node.shape), dtype)


def _threads(count: int) -> str:
    return f"{count} thread" + ("s" if count != 1 else "")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
