"""A bundle is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_bundle import contents, manifest

from rapport_edge.bundle import Bundle, load_bundle, write_bundle
from rapport_edge.bundle.golden import check_golden, golden_case
from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.errors import BundleError


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_leaves_nothing_behind_but_the_bundle(tmp_path: Path) -> None:
    described = manifest()
    write_bundle(tmp_path / "deep" / "b", described, contents(described))
    assert _entries(tmp_path / "deep") == ["b"]
    assert _entries(tmp_path / "deep" / "b") == ["age.npy", "bundle.json", "encoder.onnx", "gender.npy", "golden.npz"]


def test_leaves_nothing_behind_when_it_refuses(tmp_path: Path) -> None:
    described = manifest()
    files = {**contents(described), "age.npy": np.zeros((9, 16), dtype=np.float32)}
    with pytest.raises(BundleError, match="unit length"):
        write_bundle(tmp_path / "b", described, files)
    with pytest.raises(BundleError, match="plain name"):
        write_bundle(tmp_path / "b", described, {**files, "../x.npy": b""})
    assert _entries(tmp_path) == []


def test_writes_no_programs(tmp_path: Path) -> None:
    described = manifest()
    with pytest.raises(BundleError, match="hold data, no programs"):
        write_bundle(tmp_path / "b", described, {**contents(described), "run.sh": b"#!/bin/sh"})
    assert _entries(tmp_path) == []


def test_overwrites_only_a_bundle_and_only_when_asked(tiny_bundle: Bundle) -> None:
    described = msgspec.structs.replace(manifest(), version="0.0.2")
    with pytest.raises(BundleError, match="exists"):
        write_bundle(tiny_bundle.path, described, contents(described))
    assert load_bundle(tiny_bundle.path).manifest.version == "0.0.1"
    write_bundle(tiny_bundle.path, described, contents(described), overwrite=True)
    assert load_bundle(tiny_bundle.path).manifest.version == "0.0.2"
    assert _entries(tiny_bundle.path.parent) == [tiny_bundle.path.name]


def test_never_replaces_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    described = manifest()
    with pytest.raises(BundleError, match="not a bundle"):
        write_bundle(tmp_path / "home", described, contents(described), overwrite=True)
    assert _entries(tmp_path / "home") == ["letter.txt"]


def test_a_failed_overwrite_keeps_the_old_bundle(tiny_bundle: Bundle) -> None:
    described = manifest()
    files = contents(described)
    del files["age.npy"]
    with pytest.raises(BundleError, match="not listed"):
        write_bundle(tiny_bundle.path, described, files, overwrite=True)
    assert load_bundle(tiny_bundle.path).digest == tiny_bundle.digest


def test_the_disk_may_refuse(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    described = manifest()
    with pytest.raises(BundleError, match="cannot write the bundle"):
        write_bundle(tmp_path / "file" / "b", described, contents(described))


def test_golden_inputs_hold_an_engine_to_its_exporter(tiny_bundle: Bundle) -> None:
    engine = create_engine(tiny_bundle.onnx_path, EngineSettings(name="onnxruntime-cpu"))
    case = golden_case(tiny_bundle)
    assert case is not None
    assert check_golden(case, engine) <= case.tolerance
    case.outputs["embeddings"][0, 0] += 0.01  # type: ignore[index]
    with pytest.raises(BundleError, match=r"differs by 0\.01"):
        check_golden(case, engine)
    case.outputs["embeddings"][0, 0] = np.nan  # type: ignore[index]
    with pytest.raises(BundleError, match="differs by nan"):
        check_golden(case, engine)


@pytest.mark.parametrize("content", [b"not a zip", b"\x93NUMPY\x01\x00\x05\x00((((\n", {"input:crops": np.zeros(3)}])
def test_golden_files_must_be_complete(tmp_path: Path, content: object) -> None:
    described = manifest()
    bundle = write_bundle(tmp_path / "b", described, {**contents(described), "golden.npz": content})  # type: ignore[dict-item]
    with pytest.raises(BundleError, match=r"golden\.npz"):
        golden_case(bundle)
