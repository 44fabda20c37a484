"""The ONNX Runtime engine and the factory, on tiny models and on real ones."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.bundle import default_bundle_path
from rapport_edge.engines import EngineSettings, OnnxRuntimeEngine, TensorInfo, create_engine, warm_up
from rapport_edge.engines.onnx_file import OnnxFile, computes_in_float16
from rapport_edge.engines.onnxruntime_engine import cuda_obstacle
from rapport_edge.engines.tensorrt_engine import tensorrt_obstacle
from rapport_edge.errors import ModelError

CPU = EngineSettings(name="onnxruntime-cpu")


Maker = Callable[..., bytes]


@pytest.fixture(scope="module")
def linear(linear_model: Maker) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(linear_model(), CPU)


@given(batch=st.integers(1, 7), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_answers_are_those_of_the_formula(linear: OnnxRuntimeEngine, batch: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((batch, 4)).astype(np.float32)
    (y,) = linear.run({"x": x})
    np.testing.assert_allclose(y, x @ np.arange(12).reshape(4, 3) + [1, 2, 3], rtol=1e-4, atol=1e-4)


def test_inputs_and_outputs_are_described(linear: OnnxRuntimeEngine, two_input_model: bytes) -> None:
    assert linear.inputs == [TensorInfo("x", (None, 4), "float32")]
    assert linear.outputs == [TensorInfo("y", (None, 3), "float32")]
    two = OnnxRuntimeEngine(two_input_model, CPU)
    assert [info.name for info in two.inputs] == ["a", "b"]
    assert two.outputs[1] == TensorInfo("size", (2,), "int64")


def test_a_path_and_bytes_give_the_same(tmp_path: Path, linear: OnnxRuntimeEngine, linear_model: Maker) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(linear_model())
    from_file = OnnxRuntimeEngine(path, CPU)
    x = np.ones((2, 4), dtype=np.float32)
    np.testing.assert_array_equal(from_file.run({"x": x})[0], linear.run({"x": x})[0])


def test_a_transposed_view_is_a_fine_input(linear: OnnxRuntimeEngine) -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3).T
    np.testing.assert_array_equal(linear.run({"x": x})[0], linear.run({"x": np.ascontiguousarray(x)})[0])


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({}, "missing input x; given were none"),
        ({"y": np.zeros((1, 4), np.float32)}, "missing input x; given were y"),
        ({"x": np.zeros((1, 4), np.float32), "z": np.zeros(1)}, "unknown input z; it takes x"),
        ({"x": np.zeros((1, 4))}, "input x must be float32, not float64"),
        ({"x": np.zeros((1, 5), np.float32)}, r"input x must have shape \(\?, 4\), not \(1, 5\)"),
        ({"x": np.zeros(4, np.float32)}, r"input x must have shape \(\?, 4\), not \(4,\)"),
        ({"x": [[1, 2, 3, 4]]}, "must be a numpy array, not list"),
    ],
)
def test_wrong_inputs_are_refused_by_name(linear: OnnxRuntimeEngine, feeds: dict[str, object], reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        linear.run(feeds)  # type: ignore[arg-type]
    assert "ONNX model in memory" in str(caught.value)


def test_what_only_the_runtime_notices_is_a_model_error_without_noise(
    two_input_model: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = OnnxRuntimeEngine(two_input_model, CPU)
    with pytest.raises(ModelError, match="run failed"):
        engine.run({"a": np.zeros((2, 2), np.float32), "b": np.zeros((3, 2), np.float32)})
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_many_threads_may_call_one_engine(linear: OnnxRuntimeEngine) -> None:
    wrong: list[int] = []

    def work(value: int) -> None:
        x = np.full((1, 4), value, dtype=np.float32)
        for _ in range(50):
            if not np.allclose(linear.run({"x": x})[0], x @ np.arange(12).reshape(4, 3) + [1, 2, 3]):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_broken_files_are_refused_by_name(
    linear_model: Maker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = linear_model()
    broken = {
        "empty": b"",
        "text": b"<html>404 not found</html>",
        "image": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "no graph": onnx.ModelProto(ir_version=8).SerializeToString(),
        "unknown operator": whole.replace(b"MatMul", b"MatMal"),
    }
    broken |= {f"cut at {cut}": whole[:cut] for cut in range(1, len(whole) - 6, 9)}
    for label, data in broken.items():
        path = tmp_path / f"{label}.onnx"
        path.write_bytes(data)
        for settings_ in (CPU, EngineSettings()):
            with pytest.raises(ModelError) as caught:
                create_engine(path, settings_)
            assert str(path) in str(caught.value), label
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_model_error(data: bytes) -> None:
    with pytest.raises(ModelError):
        create_engine(data, CPU)


def test_absent_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        create_engine(tmp_path / "absent.onnx", CPU)
    with pytest.raises(ModelError, match="Is a directory"):
        create_engine(tmp_path, CPU)


def test_weights_in_another_file_are_found_or_their_absence_is_explained(linear_model: Maker, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(
        onnx.load_model_from_string(linear_model()),
        path,
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
    )
    x = np.ones((1, 4), dtype=np.float32)
    np.testing.assert_allclose(create_engine(path, CPU).run({"x": x})[0], [[19, 24, 29]])
    with pytest.raises(ModelError, match="lies in another file"):
        create_engine(path.read_bytes(), CPU)
    (tmp_path / "m.data").write_bytes(b"\0")
    with pytest.raises(ModelError, match="cannot be loaded"):
        create_engine(path, CPU)
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"m\.data, which is missing"):
        create_engine(path, CPU)


def test_half_precision_runs_on_the_cpu(linear_model: Maker) -> None:
    model = linear_model(np.float16)
    assert computes_in_float16(OnnxFile(model).check())
    assert not computes_in_float16(OnnxFile(linear_model()).check())
    (y,) = create_engine(model, CPU).run({"x": np.ones((1, 4), np.float16)})
    assert y.dtype == np.float16
    assert y.tolist() == [[19, 24, 29]]


def test_digest_is_the_files(linear_model: Maker, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(linear_model())
    assert OnnxFile(path).sha256() == hashlib.sha256(linear_model()).hexdigest()
    assert OnnxFile(path).sha256() != OnnxFile(linear_model(scale=2)).sha256()


def test_warm_up_runs_the_model_and_tells_the_time(linear: OnnxRuntimeEngine, convolution_model: bytes) -> None:
    pictures = OnnxRuntimeEngine(convolution_model, CPU)
    for engine, shapes in ((linear, None), (pictures, {"x": (2, 1, 30, 40)})):
        started = time.perf_counter()
        told = warm_up(engine, shapes)
        assert 0 < told < time.perf_counter() - started  # the second of two runs
    with pytest.raises(ModelError, match="unknown input z"):
        warm_up(linear, {"z": (1, 4)})
    with pytest.raises(ModelError, match="must have shape"):
        warm_up(linear, {"x": (1, 5)})


def test_threads_sleep_between_runs(shared_data: Path) -> None:
    """Spinning threads would burn a core while nothing is asked; the process's CPU time shows it."""
    engine = OnnxRuntimeEngine(shared_data / "models" / "MobileFaceNet.onnx", EngineSettings(threads=2))
    warm_up(engine)
    start = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - start < 0.1


def test_auto_takes_the_fastest_and_says_what_stood_in_the_way(
    linear_model: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        engine = create_engine(linear_model(), EngineSettings(threads=2))
    assert "auto" in engine.description
    assert engine.description in caplog.text
    if tensorrt_obstacle() and cuda_obstacle():
        assert "CPU, 2 threads" in engine.description
        assert "no tensorrt: the package tensorrt is not installed" in engine.description
        assert "no onnxruntime-cuda: the installed onnxruntime was built without CUDA" in engine.description


def test_an_explicit_choice_is_taken_or_refused_but_never_replaced(linear_model: Maker) -> None:
    model = linear_model()
    assert "as the settings ask" in create_engine(model, CPU).description
    for name, device in (("tensorrt", "TensorRT"), ("onnxruntime-cuda", "CUDA")):
        try:
            engine = create_engine(model, EngineSettings(name=name))
        except ModelError as error:
            assert f"cannot run on {device}: " in str(error)
        else:
            assert device in engine.description


@pytest.mark.parametrize("wrong", [{"name": "fast"}, {"threads": 0}, {"threads": 1.5}, {"max_batch": 0}, {"gpu": 1}])
def test_settings_are_validated(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, EngineSettings)


def test_a_real_face_recogniser_runs(shared_data: Path) -> None:
    engine = create_engine(shared_data / "models" / "MobileFaceNet.onnx", CPU)
    x = np.random.default_rng(0).standard_normal((1, 3, 112, 112)).astype(np.float32)
    (embedding,) = engine.run({engine.inputs[0].name: x})
    assert embedding.shape == (1, 128)
    assert np.isfinite(embedding).all()


def test_weights_stored_in_half_precision_do_not_slow_the_runtime_down() -> None:
    shipped = onnx.load(default_bundle_path() / "image_encoder.onnx")
    assert any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in shipped.graph.initializer)
    assert not computes_in_float16(shipped)
