"""Plans on disk, shape profiles and golden inputs: what decides whether a compiled plan may be used."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.engines import EngineSettings, OnnxRuntimeEngine, TensorInfo
from rapport_edge.engines.golden import disagreement, made_up_feeds
from rapport_edge.engines.plan_cache import PlanCache, PlanKey, default_cache_dir, load_or_build
from rapport_edge.engines.shape_profile import shape_profile
from rapport_edge.errors import ModelError

KEY = PlanKey(
    onnx_sha256="ab" * 32,
    precision="strongly typed",
    shape_profile="x 1x4/1x4/16x4",
    tensorrt="10.3.0",
    cuda="12060",
    gpu="Orin",
    compute_capability="8.7",
)


def engine(model: bytes) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(model, EngineSettings())


@given(plan=st.binary(max_size=500))
@settings(max_examples=30, deadline=None)
def test_a_plan_comes_back_as_it_was(plan: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = PlanCache(tmp_path_factory.mktemp("plans"))
    cache.store(KEY, plan)
    assert cache.load(KEY) == (plan, "")


@pytest.mark.parametrize("field", ["tensorrt", "cuda", "gpu", "compute_capability"])
def test_a_plan_of_another_machine_is_not_used_and_the_reason_names_the_field(tmp_path: Path, field: str) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, b"plan")
    wanted = msgspec.structs.replace(KEY, **{field: "new"})
    plan, reason = cache.load(wanted)
    assert plan is None
    assert f"{field} {getattr(KEY, field)} instead of new" in reason


@pytest.mark.parametrize("field", ["onnx_sha256", "precision", "shape_profile"])
def test_plans_of_other_models_and_profiles_lie_side_by_side(tmp_path: Path, field: str) -> None:
    cache, other = PlanCache(tmp_path), msgspec.structs.replace(KEY, **{field: "other"})
    cache.store(KEY, b"one")
    assert cache.load(other)[0] is None
    cache.store(other, b"two")
    assert cache.load(KEY)[0] == b"one"
    assert cache.load(other)[0] == b"two"


def test_damage_anywhere_is_noticed(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, b"a plan of some length")
    whole = cache.path(KEY).read_bytes()
    for place in range(0, len(whole), 5):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]):
            cache.path(KEY).write_bytes(damaged)
            plan, reason = cache.load(KEY)
            assert plan is None, place
            assert str(cache.path(KEY)) in reason
    cache.path(KEY).write_bytes(whole)
    assert cache.load(KEY)[0] is not None


def test_an_unreadable_plan_is_a_reason_not_an_error(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    assert "no plan at" in cache.load(KEY)[1]
    cache.path(KEY).mkdir()
    assert "Is a directory" in cache.load(KEY)[1]


def test_a_failed_write_leaves_the_old_plan_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cache.store(KEY, b"new")
    assert cache.load(KEY)[0] == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [KEY.file_name]


WRITER = """
import sys
from pathlib import Path
import msgspec
from rapport_edge.engines.plan_cache import PlanCache, PlanKey
cache, key = PlanCache(Path(sys.argv[1])), msgspec.json.decode(sys.argv[2], type=PlanKey)
print("ready", flush=True)
for i in range(10_000):
    cache.store(key, bytes([i % 256]) * 1_000_000)
"""


def test_a_killed_writer_leaves_a_whole_plan(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, b"first")
    for delay in (0.01, 0.04):
        command = [sys.executable, "-c", WRITER, str(tmp_path), msgspec.json.encode(KEY).decode()]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        plan, reason = cache.load(KEY)
        assert plan is not None, reason
        assert len(set(plan)) == 1 or plan == b"first"


def test_what_killed_writers_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    old, young = tmp_path / f".{KEY.file_name}.old", tmp_path / f".{KEY.file_name}.young"
    for path in (old, young):
        path.mkdir()
        (path / KEY.file_name).write_bytes(b"part")
    os.utime(old, (0, 0))
    cache.store(KEY, b"plan")
    assert sorted(tmp_path.iterdir()) == sorted([young, cache.path(KEY)])


def test_readers_never_see_a_part_while_two_write(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, b"0" * 200_000)
    done = threading.Event()

    def write(letter: bytes) -> None:
        while not done.is_set():
            cache.store(KEY, letter * 200_000)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for writer in writers:
        writer.start()
    try:
        for _ in range(100):
            plan, reason = cache.load(KEY)
            assert plan is not None, reason
            assert len(set(plan)) == 1
    finally:
        done.set()
        for writer in writers:
            writer.join()


def accept_all(plan: bytes) -> None:
    return None


def test_an_accepted_plan_is_built_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache, built = PlanCache(tmp_path / "deep" / "folder"), []

    def build() -> bytes:
        built.append(1)
        return b"plan"

    with caplog.at_level(logging.INFO):
        assert load_or_build(cache, KEY, build, accept_all, "m.onnx") == b"plan"
        assert load_or_build(cache, KEY, build, accept_all, "m.onnx") == b"plan"
    assert len(built) == 1
    assert "m.onnx: building a plan, which may take minutes, because: no plan at" in caplog.text
    newer = msgspec.structs.replace(KEY, tensorrt="10.7.0")
    load_or_build(cache, newer, build, accept_all, "m.onnx")
    assert len(built) == 2
    assert "because: " + str(cache.path(KEY)) + " was built for tensorrt 10.3.0 instead of 10.7.0" in caplog.text
    assert cache.load(newer)[0] == b"plan"


def test_a_plan_that_disagrees_is_built_again_once_and_then_refused(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, b"bad")

    def refuse_bad(plan: bytes) -> str | None:
        return "output y is not finite" if plan == b"bad" else None

    assert load_or_build(cache, KEY, lambda: b"good", refuse_bad, "m.onnx") == b"good"
    assert cache.load(KEY)[0] == b"good"
    newer = msgspec.structs.replace(KEY, gpu="Thor")
    with pytest.raises(ModelError, match=r"m\.onnx: the plan just built is not usable: output y is not finite"):
        load_or_build(cache, newer, lambda: b"bad", refuse_bad, "m.onnx")
    assert cache.load(KEY)[0] == b"good"


def test_a_plan_that_cannot_be_kept_is_used_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    plan = load_or_build(PlanCache(tmp_path / "file"), KEY, lambda: b"plan", accept_all, "m.onnx")
    assert plan == b"plan"
    assert "could not be kept" in caplog.text


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert default_cache_dir() == Path("/caches/rapport/plans")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache_dir() == Path.home() / ".cache" / "rapport" / "plans"


def test_shape_profiles() -> None:
    (batch,) = shape_profile([TensorInfo("x", (None, 3, 96, 96), "float32")], 16, (), "m")
    assert str(batch) == "x 1x3x96x96/1x3x96x96/16x3x96x96"
    (fixed,) = shape_profile([TensorInfo("x", (2, 4), "float32")], 16, (), "m")
    assert str(fixed) == "x 2x4/2x4/2x4"
    picture = TensorInfo("x", (None, 3, None, None), "float32")
    golden = [{"x": np.zeros((1, 3, 256, 320), np.float32)}]
    (ranges,) = shape_profile([picture], 4, golden, "m")
    assert ranges.largest == (4, 3, 256, 320)
    with pytest.raises(ModelError, match=r"axis 2 of any size, and golden inputs do not tell"):
        shape_profile([picture], 4, (), "m")
    with pytest.raises(ModelError, match=r"golden inputs have \[256, 512\]"):
        shape_profile([picture], 4, [*golden, {"x": np.zeros((1, 3, 512, 320), np.float32)}], "m")


def test_golden_inputs_are_the_same_everywhere_and_only_made_up_where_they_can_be(
    linear_model: Callable[..., bytes], convolution_model: bytes
) -> None:
    inputs = engine(linear_model()).inputs
    (first,), (second,) = made_up_feeds(inputs, "m"), made_up_feeds(inputs, "m")
    np.testing.assert_array_equal(first["x"], second["x"])
    assert first["x"].shape == (1, 4)
    with pytest.raises(ModelError, match=r"input x float32 \(\?, 1, \?, \?\) needs golden inputs"):
        made_up_feeds(engine(convolution_model).inputs, "m")


def test_engines_that_agree_and_engines_that_do_not(linear_model: Callable[..., bytes], two_input_model: bytes) -> None:
    reference = engine(linear_model())
    golden = made_up_feeds(reference.inputs, "m")
    assert disagreement(reference, engine(linear_model(scale=1.001)), golden) is None
    assert "of its largest value (allowed 2%)" in str(disagreement(reference, engine(linear_model(scale=1.2)), golden))
    assert disagreement(reference, engine(linear_model(scale=np.nan)), golden) == "output y is not finite"
    assert disagreement(reference, engine(two_input_model), golden) == "outputs are total, size instead of y"
    half = engine(linear_model(np.float16))
    single = made_up_feeds(reference.inputs, "m")[0]["x"]
    assert np.abs(half.run({"x": single.astype(np.float16)})[0] - reference.run({"x": single})[0]).max() < 0.1
