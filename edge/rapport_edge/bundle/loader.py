"""The one reader of bundles: refuses what it does not understand, and says why."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.alignment import CropTemplate
from rapport_edge.bundle.checks import manifest_problems, prompt_array_problem
from rapport_edge.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    READABLE_VERSIONS,
    TASKS,
    BundleManifest,
    DemographicEncoder,
    FaceEncoderManifest,
    Head,
    InterestRanker,
    Manifest,
    TextTower,
    task_of,
)
from rapport_edge.bundle.policy import Policy, check_policy
from rapport_edge.bundle.ranker_checks import content_array_problem
from rapport_edge.bundle.sensitive import OPEN_TEXT, is_open, is_sensitive
from rapport_edge.errors import BundleError

_CHUNK: Final = 1 << 20

#: What numpy raises for damaged .npy and .npz files: it parses headers as Python and lets most errors through.
ARRAY_ERRORS: Final = (
    *(ValueError, TypeError, AttributeError, OverflowError, MemoryError, RuntimeError, EOFError, OSError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: its folder.
        manifest: what `bundle.json` says.
        manifest_digest: SHA-256 of `bundle.json`; names the whole bundle, because it holds all checksums.
        digest: SHA-256 of the first ONNX file; embeddings are comparable only under the same one.
        arrays: the contents of all .npy files by file name.
    """

    path: Path
    manifest: BundleManifest
    manifest_digest: str
    digest: str
    arrays: Mapping[str, NDArray[Any]]

    @property
    def onnx_path(self) -> Path:
        """The first model's file."""
        return self.path / self.manifest.models[0].file

    @property
    def crop(self) -> CropTemplate:
        """The aligned face that the encoder takes.

        Raises:
            BundleError: if the task has none.
        """
        if not isinstance(self.manifest, FaceEncoderManifest):
            raise BundleError(f"{self.path} is a {task_of(self.manifest)} bundle, which takes no aligned faces")
        crop = self.manifest.crop
        return CropTemplate(crop.size, crop.scale, crop.shift_y)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The attributes that the bundle estimates; empty for every task but demographic-encoder."""
        return self.manifest.attributes if isinstance(self.manifest, DemographicEncoder) else ()

    @property
    def text(self) -> TextTower | None:
        """The text tower; None for bundles without one, and for every task but demographic-encoder."""
        return self.manifest.text if isinstance(self.manifest, DemographicEncoder) else None

    @property
    def sensitive_parts(self) -> tuple[str, ...]:
        """What needs a policy: heads by their names, and "open-text"."""
        heads = tuple(head.name for head in self.heads if is_sensitive(head))
        return (*heads, OPEN_TEXT) if self.text is not None and is_open(self.text) else heads


def default_bundle_path() -> Path:
    """The folder of `demographic-tiny`, the bundle that this package carries."""
    return Path(str(package_files("rapport_edge"))) / "data" / "demographic-tiny"


def load_bundle(path: Path, policy: Policy | None = None) -> Bundle:
    """Reads and verifies a bundle for use on this machine.

    Raises:
        BundleError: as `read_bundle`, or if a part needs a policy that is missing or does not cover it.
    """
    bundle = read_bundle(path)
    try:
        check_policy(bundle.sensitive_parts, bundle.manifest_digest, policy)
    except BundleError as error:
        raise BundleError(f"bundle {path}: {error}") from error
    return bundle


def read_bundle(path: Path) -> Bundle:
    """Reads and verifies a bundle without asking whether all of it is allowed: to inspect or to build one.

    Raises:
        BundleError: if the folder, its manifest, a checksum, a file or an array is not as the format demands.
    """
    try:
        return _read(path)
    except BundleError as error:
        raise BundleError(f"bundle {path}: {error}") from error
    except OSError as error:
        raise BundleError(f"bundle {path}: cannot read {error.filename}: {error.strerror}") from error


def parse_manifest(text: bytes) -> BundleManifest:
    """The manifest in the text of a `bundle.json`.

    Raises:
        BundleError: with the place, if it is not JSON, of another version, has unknown fields or values out of range,
            or contradicts itself.
    """
    _check_version(text)
    try:
        manifest: BundleManifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BundleError(f"{MANIFEST_NAME} is refused: {error}") from error
    problems = list(manifest_problems(manifest))
    if problems:
        raise BundleError(f"{MANIFEST_NAME} is refused: {'; '.join(problems)}")
    return manifest


def _read(path: Path) -> Bundle:
    if not path.is_dir():
        raise BundleError("it is a file, not a folder" if path.exists() else "there is no such folder")
    if not (path / MANIFEST_NAME).is_file():
        raise BundleError(f"the folder has no {MANIFEST_NAME}")
    text = (path / MANIFEST_NAME).read_bytes()
    manifest = parse_manifest(text)
    _check_listing(path, manifest)
    arrays: dict[str, NDArray[Any]] = {}
    for name, expected in manifest.files.items():
        if name.endswith(".npy"):
            arrays[name] = _load_array(path / name, expected)
        else:
            _check_digest(name, expected, _file_digest(path / name))
    _check_arrays(manifest, arrays)
    return Bundle(
        path=path,
        manifest=manifest,
        manifest_digest=hashlib.sha256(text).hexdigest(),
        digest=manifest.files[manifest.models[0].file],
        arrays=arrays,
    )


def _check_version(text: bytes) -> None:
    """Looks at the version and the task first, so that a newer format is called newer, not malformed."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{MANIFEST_NAME} is not JSON: {error}") from error
    if not isinstance(content, dict) or "format_version" not in content:
        raise BundleError(f"{MANIFEST_NAME} has no format_version")
    version, task = content["format_version"], content.get("task")
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        raise BundleError(
            f"format version {version!r} is unknown to this program, which reads versions up to {FORMAT_VERSION}; "
            "update rapport-edge or export the bundle again"
        )
    if not isinstance(task, str) or task not in TASKS:
        raise BundleError(f"task {task!r} is unknown; known are {', '.join(TASKS)}")


def _check_listing(path: Path, manifest: BundleManifest) -> None:
    """The folder holds exactly the listed files, and none of them lives elsewhere."""
    root = path.resolve()
    present = {entry.name for entry in path.iterdir()} - {MANIFEST_NAME}
    unlisted, missing = sorted(present - set(manifest.files)), sorted(set(manifest.files) - present)
    if missing:
        raise BundleError(f"listed files are missing: {', '.join(missing)}")
    if unlisted:
        raise BundleError(f"the folder has files that {MANIFEST_NAME} does not list: {', '.join(unlisted)}")
    for name in (*manifest.files, MANIFEST_NAME):
        target = Path(os.path.realpath(path / name))  # Path.resolve raises RuntimeError on a link to itself
        if target.parent != root:
            raise BundleError(f"{name} is a link to {target}, outside the bundle")
        if not target.is_file():
            raise BundleError(f"{name} is not a file")


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_digest(name: str, expected: str, found: str) -> None:
    if found != expected:
        raise BundleError(f"{name} was altered or damaged: SHA-256 is {found}, expected {expected}; copy it again")


def _load_array(path: Path, expected: str) -> NDArray[Any]:
    """The array of an .npy file; what is checked is what is read, and nothing in it is executed."""
    content = path.read_bytes()
    _check_digest(path.name, expected, hashlib.sha256(content).hexdigest())
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except ARRAY_ERRORS as error:
        raise BundleError(f"{path.name} is not an array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise BundleError(f"{path.name} is an archive, not a single array")
    array.flags.writeable = False
    return array


def _check_arrays(manifest: BundleManifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    if isinstance(manifest, InterestRanker) and manifest.content is not None:
        problem = content_array_problem(manifest.content, arrays[manifest.content.vectors])
        if problem:
            raise BundleError(problem)
    if not isinstance(manifest, DemographicEncoder):
        return
    for head in manifest.attributes:
        problem = prompt_array_problem(head, arrays[head.array], manifest.embedding_dim)
        if problem:
            raise BundleError(problem)
