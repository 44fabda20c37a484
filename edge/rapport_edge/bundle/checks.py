"""What a manifest must also fulfil beyond the types of its fields: label sets, bins, prompts, names, arrays."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import (
    MANIFEST_NAME,
    BundleManifest,
    ClosedText,
    DemographicEncoder,
    FaceEncoderManifest,
    Head,
    InterestRanker,
    Model,
    OpenText,
    OrdinalHead,
    TensorSpec,
)
from rapport_edge.bundle.ranker_checks import ranker_files, ranker_problems
from rapport_edge.bundle.sensitive import OPEN_TEXT
from rapport_edge.bundle.vocabulary import split_words

#: What a bundle may hold: models with their external weights, arrays, texts, and the vocabularies of tokenizers.
FILE_SUFFIXES: Final = (".onnx", ".data", ".npy", ".npz", ".json", ".md", ".txt", ".model")


def manifest_problems(manifest: BundleManifest) -> Iterator[str]:
    """Everything that is wrong with a manifest taken by itself, one sentence each; nothing when it is right."""
    yield from _date_problems(manifest.created)
    yield from _file_problems(manifest)
    for model in manifest.models:
        yield from _model_problems(model)
    if isinstance(manifest, FaceEncoderManifest):
        yield from _encoder_problems(manifest)
    if isinstance(manifest, DemographicEncoder):
        yield from _duplicates([head.name for head in manifest.attributes], "attributes")
        for head in manifest.attributes:
            yield from _head_problems(head)
        yield from _text_problems(manifest)
    if isinstance(manifest, InterestRanker):
        yield from ranker_problems(manifest)


def referenced_files(manifest: BundleManifest) -> Iterator[str]:
    """Names of all files that the manifest's parts need."""
    for model in manifest.models:
        yield model.file
        if model.golden is not None:
            yield model.golden.file
    if isinstance(manifest, DemographicEncoder):
        yield from (head.array for head in manifest.attributes)
        if isinstance(manifest.text, OpenText):
            yield manifest.text.tokenizer
    if isinstance(manifest, InterestRanker):
        yield from ranker_files(manifest)


def file_name_problem(name: str) -> str | None:
    """Why a name cannot be that of a data file directly inside the bundle's folder, or None."""
    if "/" in name or "\\" in name or name in ("", ".", "..") or "\0" in name:
        return f"file name {name!r} is not a plain name; a bundle has no subfolders"
    if name.startswith("."):
        return f"file name {name!r} starts with a dot; hidden files are not part of a bundle"
    if name == MANIFEST_NAME:
        return f"{MANIFEST_NAME} cannot list itself"
    if not name.endswith(FILE_SUFFIXES):
        return f"file name {name!r} has another ending than {', '.join(FILE_SUFFIXES)}; bundles hold data, no programs"
    return None


def prompt_array_problem(head: Head, array: NDArray[Any], embedding_dim: int) -> str | None:
    """Why an array cannot be a head's prompt embeddings, or None."""
    expected = (len(head.labels), embedding_dim)
    if array.dtype != np.float32 or array.shape != expected:
        return (
            f"{head.array} holds {array.dtype} {array.shape}, but attribute {head.name!r} has {expected[0]} labels and "
            f"embeddings of {embedding_dim}: it must be float32 {expected}"
        )
    lengths = np.linalg.norm(array.astype(np.float64), axis=1)
    if not np.isfinite(array).all() or np.abs(lengths - 1.0).max() > 1e-3:
        return f"{head.array}: prompt embeddings must be finite and of unit length"
    return None


def _date_problems(created: str) -> Iterator[str]:
    try:
        datetime.date.fromisoformat(created)
    except ValueError as error:
        yield f"created is {created!r}: {error}"


def _file_problems(manifest: BundleManifest) -> Iterator[str]:
    for name in manifest.files:
        problem = file_name_problem(name)
        if problem:
            yield problem
    for name in referenced_files(manifest):
        if name not in manifest.files:
            yield f"{name!r} is used but not listed in files"


def _model_problems(model: Model) -> Iterator[str]:
    if not model.file.endswith(".onnx"):
        yield f"model {model.file!r} is not an .onnx file"
    yield from _duplicates([tensor.name for tensor in model.inputs], f"inputs of {model.file}")
    yield from _duplicates([tensor.name for tensor in model.outputs], f"outputs of {model.file}")
    for tensor in model.inputs:
        yield from _image_problems(tensor)
    for tensor in model.outputs:
        if tensor.image is not None:
            yield f"output {tensor.name!r} cannot be an image"


def _image_problems(tensor: TensorSpec) -> Iterator[str]:
    image = tensor.image
    if image is None:
        return
    channels = tensor.shape[3 if image.layout == "NHWC" else 1] if len(tensor.shape) == 4 else None
    if channels != 3:
        yield f"input {tensor.name!r} has shape {list(tensor.shape)}, which is not {image.layout} with three channels"
    if tensor.dtype not in ("uint8", "float32", "float16"):
        yield f"image input {tensor.name!r} cannot be {tensor.dtype}"
    if tensor.dtype == "uint8" and (image.scale, image.mean, image.std) != (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)):
        yield f"input {tensor.name!r} takes raw bytes, so scale, mean and std must be left out"


def _encoder_problems(manifest: FaceEncoderManifest) -> Iterator[str]:
    taken, given = manifest.models[0].inputs[0], manifest.models[0].outputs[0]
    if taken.image is None:
        yield f"input {taken.name!r} of a face encoder must state its image layout"
    elif len(taken.shape) == 4:
        sides = taken.shape[1:3] if taken.image.layout == "NHWC" else taken.shape[2:4]
        if any(isinstance(side, int) and side != manifest.crop.size for side in sides):
            yield f"input {taken.name!r} is {list(taken.shape)}, but crops are {manifest.crop.size} pixels square"
    if len(given.shape) != 2 or given.shape[1] != manifest.embedding_dim or given.dtype not in ("float16", "float32"):
        yield (
            f"output {given.name!r} is {given.dtype} {list(given.shape)}, but must be a float embedding "
            f"[batch, {manifest.embedding_dim}]"
        )


def _head_problems(head: Head) -> Iterator[str]:
    where = f"attribute {head.name!r}"
    if head.name == OPEN_TEXT:
        yield f"{where} has a name that policies use for text towers"
    yield from _duplicates([label.casefold() for label in head.labels], f"labels of {where}")
    if any(not label.strip() for label in head.labels):
        yield f"{where} has a blank label"
    if set(head.prompts) != set(head.labels):
        odd = ", ".join(sorted(set(head.prompts) ^ set(head.labels)))
        yield f"{where}: prompts and labels differ in {odd}"
    if len(head.calibration.bias) != len(head.labels):
        yield f"{where}: calibration has {len(head.calibration.bias)} biases for {len(head.labels)} labels"
    if not head.array.endswith(".npy"):
        yield f"{where}: array {head.array!r} is not an .npy file"
    if isinstance(head, OrdinalHead):
        yield from _bin_problems(head, where)


def _text_problems(manifest: DemographicEncoder) -> Iterator[str]:
    text = manifest.text
    if text is None:
        return
    if manifest.format_version < 2:
        yield "text needs format version 2"
    if text.model not in [model.file for model in manifest.models[1:]]:
        yield f"text names the model {text.model!r}, which is not one of the models after the first"
    if text.start == text.end or 0 in (text.start, text.end):
        yield "text: start and end must be two tokens other than 0, which fills up"
    if isinstance(text, ClosedText):
        yield from _word_problems(text)
    elif not text.tokenizer.endswith(".json"):
        yield f"text: tokenizer {text.tokenizer!r} is not a .json file"


def _word_problems(text: ClosedText) -> Iterator[str]:
    odd = [word for word in text.words if split_words(word) != [word]]
    if odd:
        yield f"text: no single words in lower case: {', '.join(map(repr, odd[:5]))}"
    if any({text.start, text.end} & set(tokens) for tokens in text.words.values()):
        yield "text: a word has the token of start or end"


def _bin_problems(head: OrdinalHead, where: str) -> Iterator[str]:
    if len(head.bin_edges) != len(head.labels) + 1:
        yield f"{where}: {len(head.labels)} labels need {len(head.labels) + 1} bin edges, not {len(head.bin_edges)}"
    if any(high - low < 1.0 for low, high in pairwise(head.bin_edges)):
        yield f"{where}: bin edges must ascend by at least one year: {list(head.bin_edges)}"


def _duplicates(names: Sequence[str], what: str) -> Iterator[str]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        yield f"{what} are repeated: {', '.join(repeated)}"
