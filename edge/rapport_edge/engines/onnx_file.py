"""An ONNX file as it is given: a path, or the bytes of a model that was changed in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from rapport_edge.errors import ModelError


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """Where a model comes from.

    Attributes:
        source: a path, or the serialised model.
    """

    source: Path | bytes

    @property
    def name(self) -> str:
        """For messages: the path, or how long the model in memory is."""
        return str(self.source) if isinstance(self.source, Path) else f"ONNX model in memory ({len(self.source)} bytes)"

    def sha256(self) -> str:
        """Digest of the file, in hexadecimal; weights in a separate file do not count.

        Raises:
            ModelError: if the file cannot be read.
        """
        return hashlib.sha256(self.read()).hexdigest()

    def read(self) -> bytes:
        """The serialised model.

        Raises:
            ModelError: if the file cannot be read.
        """
        if isinstance(self.source, bytes):
            return self.source
        try:
            return self.source.read_bytes()
        except OSError as error:
            raise ModelError(f"{self.source}: {error.strerror or error}") from error

    def check(self) -> onnx.ModelProto:
        """The parsed model without weights that lie in other files.

        Raises:
            ModelError: if this is no ONNX model, or a file with its weights is missing.
        """
        data = self.read()
        try:
            model = onnx.load_model_from_string(data)
        except DecodeError as error:
            raise ModelError(f"{self.name}: not an ONNX file, or truncated ({error})") from error
        if not model.graph.node:
            raise ModelError(f"{self.name}: not an ONNX file: it has no graph")
        self._check_external_data(model)
        return model

    def _check_external_data(self, model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.data_location != onnx.TensorProto.EXTERNAL:
                continue
            location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            if isinstance(self.source, bytes):
                raise ModelError(f"{self.name}: weight {tensor.name} lies in another file; give the model's path")
            if not (self.source.parent / location).is_file():
                raise ModelError(f"{self.name}: weight {tensor.name} lies in {location}, which is missing beside it")


def computes_in_float16(model: onnx.ModelProto) -> bool:
    """Whether any operator works in half precision.

    Weights that are only stored so, and cast back before use, do not count: the runtime casts them once, at loading.
    """
    half = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    for node in model.graph.node:
        if node.op_type == "Cast":
            if any(attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT16 for attribute in node.attribute):
                return True
        elif half.intersection(node.input):
            return True
    return False
