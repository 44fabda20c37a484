"""Writes bundles: complete and verified, or not at all."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.atomic import replace_folder, scratch_beside, sync_folder, write_synced
from rapport_edge.bundle.checks import file_name_problem
from rapport_edge.bundle.loader import Bundle, read_bundle
from rapport_edge.bundle.manifest import MANIFEST_NAME, BundleManifest, encode_manifest
from rapport_edge.errors import BundleError

#: A file's content: bytes, a path to copy, one array (.npy), or several by name (.npz).
Content: TypeAlias = bytes | Path | NDArray[Any] | Mapping[str, NDArray[Any]]


def write_bundle(
    folder: Path,
    manifest: BundleManifest,
    files: Mapping[str, Content],
    *,
    overwrite: bool = False,
    sensitive: Collection[str] = (),
) -> Bundle:
    """Writes a bundle's folder and reads it back.

    The folder is built beside its place under another name, flushed to disk, verified by the reader that robots use,
    and then renamed: a reader finds a whole bundle or none.

    Args:
        folder: where it goes; its parent is made if needed.
        manifest: with `files` empty; checksums are computed here.
        files: the content by file name.
        overwrite: replace a bundle that is already there.
        sensitive: names of parts that need a policy and that are wanted nevertheless, such as "race" or "open-text".

    Raises:
        BundleError: if the folder exists, the manifest and the files do not fit, a sensitive part was not asked for by
            name, or the disk refuses.
    """
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(folder) as scratch:
            check_place(folder, overwrite)
            built = scratch / folder.name
            built.mkdir()
            _fill(built, manifest, files)
            _check_sensitive(read_bundle(built), sensitive)
            replace_folder(built, folder)
    except OSError as error:
        raise BundleError(f"cannot write the bundle {folder}: {error}") from error
    return read_bundle(folder)


def check_place(folder: Path, overwrite: bool) -> None:
    """Whether a bundle may be written there: asked before the work that makes one, and once more by the writer.

    Raises:
        BundleError: if something is there that was not to be replaced, or that is no bundle.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise BundleError(f"{folder} exists; choose another folder or ask to overwrite it")
    if not (folder / MANIFEST_NAME).is_file():
        raise BundleError(f"{folder} exists and is not a bundle; it is not overwritten")


def _check_sensitive(bundle: Bundle, asked_for: Collection[str]) -> None:
    unasked = [name for name in bundle.sensitive_parts if name not in asked_for]
    if unasked:
        raise BundleError(
            f"{', '.join(unasked)} need a policy on a robot, because they may infer what the law protects; "
            "a bundle leaves them out unless the export asks for them by name"
        )


def _fill(folder: Path, manifest: BundleManifest, files: Mapping[str, Content]) -> None:
    digests = {}
    for name, content in files.items():
        problem = file_name_problem(name)
        if problem:
            raise BundleError(problem)
        data = _to_bytes(content)
        digests[name] = sha256(data).hexdigest()
        write_synced(folder / name, data)
    complete = msgspec.structs.replace(manifest, files=digests)
    write_synced(folder / MANIFEST_NAME, encode_manifest(complete))
    sync_folder(folder)


def _to_bytes(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, Path):
        return content.read_bytes()
    stream = io.BytesIO()
    if isinstance(content, np.ndarray):
        np.save(stream, content, allow_pickle=False)
    else:
        np.savez(stream, allow_pickle=False, **content)
    return stream.getvalue()
