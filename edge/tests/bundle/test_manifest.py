"""The format's page in the README against the Structs."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import manifest

from rapport_edge.bundle import manifest as format_module
from rapport_edge.bundle.checks import file_name_problem
from rapport_edge.bundle.loader import parse_manifest
from rapport_edge.bundle.manifest import TASKS, encode_manifest
from rapport_edge.bundle.policy import Policy

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bundle.md"

#: Section of the page and the Structs whose fields its table lists.
SECTIONS = {
    "Every task": [format_module.BundleManifest],
    "demographic-encoder": [format_module.DemographicEncoder],
    "face-recognizer": [format_module.FaceRecognizer],
    "interest-ranker": [format_module.InterestRanker],
    "item_fields[] and user_fields[]": [format_module.CategoryField],
    "content": [format_module.ItemContent],
    "models[]": [format_module.Model],
    "inputs[] and outputs[]": [format_module.TensorSpec],
    "image": [format_module.ImageInput],
    "golden": [format_module.Golden],
    "crop": [format_module.Crop],
    "attributes[]": [format_module.CategoricalHead, format_module.OrdinalHead],
    "text": [format_module.ClosedText, format_module.OpenText],
    "calibration": [format_module.Calibration],
    "metrics[]": [format_module.Metric],
    "datasets[]": [format_module.DataSet],
    "licences[]": [format_module.Licence],
    "The policy file": [Policy],
}


def _tables() -> dict[str, set[str]]:
    """First column of the table under each heading."""
    tables: dict[str, set[str]] = {}
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip().replace("`", "")
        elif match := re.match(r"\| `(\w+)` \|", line):
            tables.setdefault(heading, set()).add(match.group(1))
    return tables


def test_the_page_lists_every_field() -> None:
    common = {field.encode_name for field in msgspec.structs.fields(format_module.BundleManifest)}
    expected = {}
    for section, structs in SECTIONS.items():
        names = {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)}
        if section in TASKS:
            names -= common
        expected[section] = names
    expected["Every task"].add("task")
    expected["attributes[]"].add("kind")
    expected["text"].add("vocabulary")
    assert _tables() == expected


def test_the_page_names_every_task() -> None:
    text = PAGE.read_text()
    assert all(f"`{task}`" in text for task in TASKS)


def test_manifest_survives_writing_and_reading() -> None:
    files = dict.fromkeys(("encoder.onnx", "golden.npz", "gender.npy", "age.npy"), "0" * 64)
    described = msgspec.structs.replace(manifest(), files=files)
    assert parse_manifest(encode_manifest(described)) == described


@given(st.text(max_size=20))
def test_an_accepted_file_name_stays_in_its_folder(name: str) -> None:
    if file_name_problem(name) is None:
        assert Path("/bundle", name).parent == Path("/bundle")
        assert Path(name).name == name
