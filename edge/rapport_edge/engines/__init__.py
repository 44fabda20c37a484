"""Runs one ONNX file of a bundle, on ONNX Runtime (CPU or CUDA) or TensorRT, behind one protocol."""

from rapport_edge.engines.base import Engine, TensorInfo
from rapport_edge.engines.factory import create_engine
from rapport_edge.engines.feeds import warm_up
from rapport_edge.engines.onnxruntime_engine import OnnxRuntimeEngine
from rapport_edge.engines.settings import EngineSettings
from rapport_edge.engines.tensorrt_engine import TensorRTEngine

__all__ = [
    "Engine",
    "EngineSettings",
    "OnnxRuntimeEngine",
    "TensorInfo",
    "TensorRTEngine",
    "create_engine",
    "warm_up",
]
