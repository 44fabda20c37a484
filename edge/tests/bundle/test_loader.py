"""What the reader of bundles accepts and refuses, and the words in which it refuses."""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_bundle import edit_manifest, prompts, race_head, write_tiny

from rapport_edge.bundle import Bundle, load_bundle, read_bundle
from rapport_edge.bundle.loader import parse_manifest
from rapport_edge.errors import BundleError


def _content(bundle: Bundle) -> Any:
    return msgspec.json.decode((bundle.path / "bundle.json").read_bytes())


def _save(bundle: Bundle, content: Any) -> None:
    (bundle.path / "bundle.json").write_bytes(msgspec.json.encode(content))


def _replace_file(bundle: Bundle, name: str, data: bytes) -> None:
    """Changes a file and its checksum, as somebody who builds a wrong bundle would."""
    (bundle.path / name).write_bytes(data)
    content = _content(bundle)
    content["files"][name] = hashlib.sha256(data).hexdigest()
    _save(bundle, content)


def _npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def _npy_with(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def _refusal(bundle: Bundle) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle.path)
    assert str(bundle.path) in str(caught.value)
    return str(caught.value)


def test_reads_what_was_written(tiny_bundle: Bundle) -> None:
    bundle = load_bundle(tiny_bundle.path)
    assert bundle.digest == hashlib.sha256(bundle.onnx_path.read_bytes()).hexdigest()
    assert bundle.manifest_digest == hashlib.sha256((bundle.path / "bundle.json").read_bytes()).hexdigest()
    assert [head.name for head in bundle.heads] == ["gender", "age"]
    assert bundle.arrays["age.npy"].shape == (9, 16)
    assert bundle.crop.size == 32
    with pytest.raises(ValueError, match="read-only"):
        bundle.arrays["age.npy"][0, 0] = 1.0


def test_refuses_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, reason in (("absent", "no such folder"), ("file", "not a folder"), (".", "no bundle.json")):
        with pytest.raises(BundleError, match=reason):
            load_bundle(tmp_path / path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"format_version": 1,\n "task": }', "line 2 column"),
        (b"[1]", "no format_version"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"format_version": 3, "task": "demographic-encoder"}', "format version 3 is unknown"),
        (b'{"format_version": true}', "format version True is unknown"),
        (b'{"format_version": 1, "task": "mind-reader"}', "'mind-reader' is unknown; known are demographic-encoder"),
        (b'{"format_version": 1, "task": ["demographic-encoder"]}', "is unknown; known are"),
    ],
)
def test_says_where_a_manifest_is_malformed(text: bytes, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        parse_manifest(text)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("surprise",), 1, "unknown field `surprise`"),
        (("attributes", 0, "surprise"), 1, r"unknown field `surprise` - at `\$.attributes\[0\]`"),
        (("attributes", 0, "unknown_below"), 1.5, r"<= 1.0 - at `\$.attributes\[0\].unknown_below`"),
        (("attributes", 0, "kind"), "poetic", "poetic"),
        (("version",), "1", r"at `\$.version`"),
        (("created",), "2026-02-31", "created is '2026-02-31'"),
        (("attributes", 0, "labels"), ["Male", "male"], "labels of attribute 'gender' are repeated: male"),
        (("attributes", 0, "labels"), ["Male", " "], "blank label"),
        (("attributes", 0, "labels"), ["Male", "Woman"], "prompts and labels differ in Female, Woman"),
        (("attributes", 0, "calibration", "bias"), [0.0], "1 biases for 2 labels"),
        (("attributes", 0, "calibration", "scale"), 0.0, "calibration.scale"),
        (("attributes", 1, "name"), "gender", "attributes are repeated: gender"),
        (("attributes", 1, "bin_edges"), [0, 3, 10], "9 labels need 10 bin edges, not 3"),
        (("attributes", 1, "bin_edges"), [0, 3, 10, 20, 30, 40, 50, 60, 60, 80], "must ascend"),
        (("attributes", 0, "array"), "absent.npy", "'absent.npy' is used but not listed"),
        (("models", 0, "file"), "gender.npy", "not an .onnx file"),
        (("models", 0, "inputs", 0, "image", "mean"), [1, 1, 1], "takes raw bytes"),
        (("models", 0, "inputs", 0, "image", "layout"), "NCHW", "not NCHW with three channels"),
        (("crop", "size"), 64, "crops are 64 pixels"),
        (("embedding_dim",), 8, "must be a float embedding"),
    ],
)
def test_refuses_a_manifest_that_is_wrong_in_itself(
    tiny_bundle: Bundle, path: tuple[Any, ...], value: Any, reason: str
) -> None:
    content = _content(tiny_bundle)
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    _save(tiny_bundle, content)
    with pytest.raises(BundleError, match=reason):
        load_bundle(tiny_bundle.path)


@pytest.mark.parametrize("name", ["../evil.npy", "sub/evil.npy", "a\\b.npy", "..", ".hidden", "", "bundle.json"])
def test_refuses_file_names_that_leave_the_folder(tiny_bundle: Bundle, name: str) -> None:
    content = _content(tiny_bundle)
    edit_manifest(tiny_bundle.path, files={**content["files"], name: "0" * 64})
    assert "file name" in _refusal(tiny_bundle) or "cannot list itself" in _refusal(tiny_bundle)


@pytest.mark.parametrize("name", ["run.sh", "evil.py", "x.so", "x.pkl", "x.onnx.exe", "README", "npy", "x.NPY"])
def test_refuses_files_that_are_no_data(tiny_bundle: Bundle, name: str) -> None:
    _replace_file(tiny_bundle, name, b"")
    assert f"'{name}' has another ending than .onnx" in _refusal(tiny_bundle)


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "encoder.onnx.data", "tokenizer.model", "vocab.txt", "merges.json"])
def test_takes_cards_weights_and_tokenizers(tiny_bundle: Bundle, name: str) -> None:
    _replace_file(tiny_bundle, name, b"{}")
    assert name in load_bundle(tiny_bundle.path).manifest.files


def test_refuses_missing_and_unlisted_files(tiny_bundle: Bundle) -> None:
    (tiny_bundle.path / "run.py").write_text("print('hello')")
    assert "does not list: run.py" in _refusal(tiny_bundle)
    (tiny_bundle.path / "age.npy").unlink()
    assert "missing: age.npy" in _refusal(tiny_bundle)


def test_refuses_a_subfolder_in_place_of_a_file(tiny_bundle: Bundle) -> None:
    (tiny_bundle.path / "age.npy").unlink()
    (tiny_bundle.path / "age.npy").mkdir()
    assert "age.npy is not a file" in _refusal(tiny_bundle)


def test_refuses_links_out_of_the_folder(tiny_bundle: Bundle, tmp_path: Path) -> None:
    outside = tmp_path / "outside.npy"
    (tiny_bundle.path / "age.npy").rename(outside)
    (tiny_bundle.path / "age.npy").symlink_to(outside)
    assert "outside the bundle" in _refusal(tiny_bundle)


def test_refuses_a_link_to_itself(tiny_bundle: Bundle) -> None:
    (tiny_bundle.path / "age.npy").unlink()
    (tiny_bundle.path / "age.npy").symlink_to("age.npy")
    assert "age.npy is not a file" in _refusal(tiny_bundle)


@pytest.mark.parametrize("name", ["encoder.onnx", "gender.npy", "golden.npz"])
def test_names_the_file_whose_checksum_is_wrong(tiny_bundle: Bundle, name: str) -> None:
    path = tiny_bundle.path / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    refusal = _refusal(tiny_bundle)
    assert name in refusal
    assert hashlib.sha256(bytes(data)).hexdigest() in refusal
    assert tiny_bundle.manifest.files[name] in refusal


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_npy(prompts(3)), "float32 \\(2, 16\\)"),
        (_npy(prompts(2, dim=8)), "float32 \\(2, 16\\)"),
        (_npy(prompts(2).astype(np.float64)), "float64"),
        (_npy(2 * prompts(2)), "unit length"),
        (_npy(np.full((2, 16), np.nan, dtype=np.float32)), "unit length"),
        (_npy(np.array([[print]] * 2), allow_pickle=True), "not an array"),
        (_npy(prompts(2))[:-9], "not an array"),
        (b"", "not an array"),
        (_npy_with(b"((((\n"), "not an array"),
        (_npy_with(b"{[]: 1}"), "not an array"),
        (_npy_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d,)}" % 10**30), "not an array"),
    ],
)
def test_refuses_arrays_that_do_not_fit(tiny_bundle: Bundle, data: bytes, reason: str) -> None:
    _replace_file(tiny_bundle, "gender.npy", data)
    with pytest.raises(BundleError, match=reason):
        load_bundle(tiny_bundle.path)


def test_reads_a_sensitive_bundle_only_to_look_at_it(tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "race", race_head(), sensitive=("race",))
    assert read_bundle(bundle.path).sensitive_parts == ("race",)
    with pytest.raises(BundleError, match=bundle.manifest_digest):
        load_bundle(bundle.path)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_damage_to_the_manifest_is_refused_or_harmless(tiny_bundle: Bundle, data: st.DataObject) -> None:
    """Whatever byte is changed, the reader answers with a BundleError or a bundle, never with another exception."""
    original = (tiny_bundle.path / "bundle.json").read_bytes()
    damaged = bytearray(original)
    damaged[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BundleError):
        parse_manifest(bytes(damaged))
