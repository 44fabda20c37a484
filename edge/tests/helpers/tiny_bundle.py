"""A tiny encoder with random weights, to test everything around a model without training one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rapport_edge.bundle import Bundle, write_bundle
from rapport_edge.bundle.manifest import (
    Calibration,
    CategoricalHead,
    Crop,
    DataSet,
    DemographicEncoder,
    FaceEncoderManifest,
    FaceRecognizer,
    Golden,
    Head,
    ImageInput,
    Licence,
    Metric,
    Model,
    OrdinalHead,
    TensorSpec,
)
from rapport_edge.bundle.writer import Content
from rapport_edge.labels import AGE_BINS, AGE_EDGES, GENDERS, RACES

SIZE = 32
DIM = 16


def encoder_onnx(size: int = SIZE, dim: int = DIM, seed: int = 7) -> bytes:
    """uint8 NHWC RGB crops to embeddings: normalise, average over patches of 8 x 8, one random linear layer."""
    rng = np.random.default_rng(seed)
    cells = (size // 8) ** 2 * 3
    weights = {
        "scale": np.float32(1 / 128.0),
        "one": np.float32(1.0),
        "matrix": (rng.normal(size=(cells, dim)) / np.sqrt(cells)).astype(np.float32),
        "bias": rng.normal(scale=0.05, size=dim).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["patches"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["patches"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], ["embeddings"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", size, size, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", dim])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def prompts(count: int, dim: int = DIM, seed: int = 1) -> np.ndarray:
    """(count, dim) float32 random directions of unit length."""
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def gender_head() -> CategoricalHead:
    return CategoricalHead(
        name="gender",
        labels=GENDERS,
        prompts={label: (f"The person appears to be {label}",) for label in GENDERS},
        array="gender.npy",
        calibration=Calibration(scale=10.0, bias=(0.0, 0.1)),
        unknown_below=0.6,
    )


def age_head() -> OrdinalHead:
    return OrdinalHead(
        name="age",
        labels=AGE_BINS,
        prompts={label: (f"approximately {label} years old", f"a person of {label} years") for label in AGE_BINS},
        array="age.npy",
        calibration=Calibration(scale=10.0, bias=(0.0,) * len(AGE_BINS)),
        bin_edges=AGE_EDGES,
        unknown_above_std=15.0,
    )


def race_head() -> CategoricalHead:
    return CategoricalHead(
        name="race",
        labels=RACES,
        prompts={label: (f"The person appears to be {label}",) for label in RACES},
        array="race.npy",
        calibration=Calibration(scale=10.0, bias=(0.0,) * len(RACES)),
        unknown_below=0.2,
    )


def manifest(*heads: Head) -> DemographicEncoder:
    image = ImageInput(layout="NHWC", colour_order="RGB")
    model = Model(
        file="encoder.onnx",
        inputs=(TensorSpec(name="crops", shape=("batch", SIZE, SIZE, 3), dtype="uint8", image=image),),
        outputs=(TensorSpec(name="embeddings", shape=("batch", DIM), dtype="float32"),),
        golden=Golden(file="golden.npz", tolerance=1e-4),
    )
    return DemographicEncoder(
        format_version=1,
        name="tiny-random",
        version="0.0.1",
        models=(model,),
        licences=(Licence(applies_to="weights", licence="Apache-2.0"),),
        datasets=(DataSet(name="none", role="evaluation", licence="none"),),
        metrics=(Metric(name="gender_accuracy", value=0.5, split="none", n=0),),
        commit="0000000",
        created="2026-01-31",
        crop=Crop(size=SIZE),
        embedding_dim=DIM,
        attributes=heads or (gender_head(), age_head()),
    )


@cache
def golden_arrays() -> dict[str, np.ndarray]:
    """Random crops and the graph's answer by onnx's own reference evaluator, which is independent of every engine."""
    crops = np.random.default_rng(3).integers(0, 256, size=(2, SIZE, SIZE, 3), dtype=np.uint8)
    output = ReferenceEvaluator(onnx.load_from_string(encoder_onnx())).run(None, {"crops": crops})[0]
    return {"input:crops": crops, "output:embeddings": np.asarray(output)}


def contents(described: DemographicEncoder) -> dict[str, Content]:
    """The files that `described` needs."""
    files: dict[str, Content] = {"encoder.onnx": encoder_onnx(), "golden.npz": golden_arrays()}
    for index, head in enumerate(described.attributes):
        files[head.array] = prompts(len(head.labels), seed=index)
    return files


def write_tiny(folder: Path, *heads: Head, sensitive: tuple[str, ...] = ()) -> Bundle:
    described = manifest(*heads)
    return write_bundle(folder, described, contents(described), sensitive=sensitive)


def write_tiny_recogniser(folder: Path) -> Bundle:
    """The same random network as a face-recognizer."""
    described = manifest()
    shared = {name: getattr(described, name) for name in FaceEncoderManifest.__struct_fields__ if name != "files"}
    files = contents(described)
    recogniser = FaceRecognizer(**shared, match_threshold=0.4)
    return write_bundle(folder, recogniser, {name: files[name] for name in ("encoder.onnx", "golden.npz")})


def edit_manifest(folder: Path, **changes: object) -> None:
    """Overwrites top-level fields of a written bundle.json."""
    path = folder / "bundle.json"
    content = msgspec.json.decode(path.read_bytes())
    content.update(changes)
    path.write_bytes(msgspec.json.encode(content))
