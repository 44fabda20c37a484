"""The encoder against onnx's reference evaluator, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_bundle import contents, golden_arrays, manifest

from rapport_edge.bundle import Bundle, read_bundle, write_bundle
from rapport_edge.bundle.manifest import (
    Calibration,
    Crop,
    FaceDetectorManifest,
    FaceRecognizer,
    ImageInput,
    Licence,
    Model,
    TensorSpec,
)
from rapport_edge.encoding import create_encoder, estimate_all
from rapport_edge.encoding.preprocessing import to_input
from rapport_edge.encoding.zero_shot import zero_shot_probabilities
from rapport_edge.errors import BundleError, ModelError


def _common(model: Model, name: str) -> dict[str, object]:
    return {
        "format_version": 1,
        "name": name,
        "version": "1.0.0",
        "models": (model,),
        "licences": (Licence(applies_to="weights", licence="Apache-2.0"),),
        "commit": "0000000",
        "created": "2026-01-31",
    }


def test_encodes_as_the_reference_does(tiny_bundle: Bundle) -> None:
    crops, expected = golden_arrays().values()
    encoding = create_encoder(tiny_bundle).encode(crops)
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoding.embeddings, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(encoding.embeddings, axis=1), 1.0, atol=1e-6)
    logits = 10.0 * expected @ tiny_bundle.arrays["gender.npy"].T + np.array([0.0, 0.1])
    expected_gender = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(encoding.probabilities["gender"], expected_gender, atol=1e-4)
    assert {name: values.shape for name, values in encoding.probabilities.items()} == {"gender": (2, 2), "age": (2, 9)}


def test_a_batch_is_as_good_as_single_faces(tiny_bundle: Bundle) -> None:
    encoder = create_encoder(tiny_bundle)
    crops = np.random.default_rng(0).integers(0, 256, size=(5, 32, 32, 3), dtype=np.uint8)
    together = encoder.encode(crops).embeddings
    apart = np.concatenate([encoder.encode(crops[i : i + 1]).embeddings for i in range(5)])
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert encoder.encode(crops[:0]).probabilities["age"].shape == (0, 9)


@pytest.mark.parametrize(
    "crops", [np.zeros((1, 32, 32, 3)), np.zeros((1, 16, 16, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)]
)
def test_refuses_other_crops(tiny_bundle: Bundle, crops: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"crops must be \(n, 32, 32, 3\)"):
        create_encoder(tiny_bundle).encode(crops)


def test_refuses_a_manifest_that_describes_another_graph(tmp_path: Path) -> None:
    described = manifest()
    model = described.models[0]
    renamed = msgspec.structs.replace(
        model, golden=None, inputs=(msgspec.structs.replace(model.inputs[0], name="faces"),)
    )
    bundle = write_bundle(tmp_path / "b", msgspec.structs.replace(described, models=(renamed,)), contents(described))
    with pytest.raises(BundleError, match="the manifest says faces uint8"):
        create_encoder(bundle)


def test_refuses_an_onnx_file_that_is_not_one(tmp_path: Path) -> None:
    described = manifest()
    bundle = write_bundle(tmp_path / "b", described, {**contents(described), "encoder.onnx": b"not a model"})
    with pytest.raises(ModelError, match=r"encoder\.onnx"):
        create_encoder(bundle)


def test_refuses_a_bundle_of_another_task(tmp_path: Path) -> None:
    described = manifest()
    model = msgspec.structs.replace(described.models[0], golden=None)
    detector = msgspec.convert(_common(model, "detector"), FaceDetectorManifest)
    bundle = write_bundle(tmp_path / "b", detector, {"encoder.onnx": contents(described)["encoder.onnx"]})
    with pytest.raises(BundleError, match="face-detector, not a face encoder"):
        create_encoder(bundle)
    with pytest.raises(BundleError, match="takes no aligned faces"):
        _ = bundle.crop


def test_runs_a_recogniser_of_fixed_batch_and_float_input(shared_data: Path, tmp_path: Path) -> None:
    onnx_path = shared_data / "models" / "MobileFaceNet.onnx"
    image = ImageInput(
        layout="NCHW", colour_order="RGB", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    model = Model(
        file="MobileFaceNet.onnx",
        inputs=(TensorSpec(name="input0", shape=(1, 3, 112, 112), dtype="float32", image=image),),
        outputs=(TensorSpec(name="output0", shape=(1, 128), dtype="float32"),),
    )
    fields = {**_common(model, "mobilefacenet"), "crop": Crop(size=112), "embedding_dim": 128, "match_threshold": 0.4}
    bundle = write_bundle(tmp_path / "r", FaceRecognizer(**fields), {"MobileFaceNet.onnx": onnx_path})  # type: ignore[arg-type]
    crops = np.random.default_rng(0).integers(0, 256, size=(3, 112, 112, 3), dtype=np.uint8)
    encoding = create_encoder(read_bundle(bundle.path)).encode(crops)
    assert encoding.embeddings.shape == (3, 128)
    assert encoding.probabilities == {}


def test_float_inputs_are_normalised_per_channel_in_the_stated_order() -> None:
    crops = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    image = ImageInput(layout="NCHW", colour_order="BGR", scale=0.5, mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0))
    tensor = to_input(crops, TensorSpec(name="x", shape=("n", 3, 2, 2), dtype="float32", image=image))
    assert tensor.dtype == np.float32
    for row in range(2):
        for channel, (source, mean, std) in enumerate(zip((2, 1, 0), image.mean, image.std, strict=True)):
            np.testing.assert_allclose(tensor[row, channel], (crops[row, :, :, source] * 0.5 - mean) / std, rtol=1e-6)


def test_byte_inputs_stay_as_they_are() -> None:
    crops = np.random.default_rng(0).integers(0, 256, size=(2, 4, 4, 3), dtype=np.uint8)
    image = ImageInput(layout="NHWC", colour_order="RGB")
    tensor = to_input(crops, TensorSpec(name="x", shape=("n", 4, 4, 3), dtype="uint8", image=image))
    assert np.array_equal(tensor, crops)


def test_probabilities_survive_extreme_scales() -> None:
    embeddings = np.eye(2, dtype=np.float32)
    p = zero_shot_probabilities(embeddings, embeddings, Calibration(scale=1e6, bias=(0.0, 0.0)))
    np.testing.assert_array_equal(p, np.eye(2, dtype=np.float32))


def test_answers_only_what_there_are_probabilities_of(tiny_bundle: Bundle) -> None:
    age, attributes = estimate_all(tiny_bundle.heads, {"gender": np.array([0.9, 0.1], dtype=np.float32)})
    assert age is None
    assert attributes["gender"].label == "Male"
    _, attributes = estimate_all(tiny_bundle.heads, {"gender": np.array([0.55, 0.45], dtype=np.float32)})
    assert attributes["gender"].label is None
    assert attributes["gender"].confidence == pytest.approx(0.55)
