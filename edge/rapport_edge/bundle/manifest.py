"""The manifest of a bundle, `bundle.json`: one Struct per part, unknown fields forbidden.

Every field is explained in docs/bundle.md beside this package; a test holds that page against these Structs.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

#: Written by this program. Version 1 had no text towers; it is read as well.
FORMAT_VERSION: Final = 2
READABLE_VERSIONS: Final = (1, 2)
MANIFEST_NAME: Final = "bundle.json"

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=100)]
Text = Annotated[str, Meta(min_length=1)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}\Z")]
Dimension = Annotated[int, Meta(ge=1)] | Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0.0)]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Triple = tuple[float, float, float]
PositiveTriple = tuple[Positive, Positive, Positive]


class _Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all parts of a manifest share: immutable, and no field that the reader does not know."""


class ImageInput(_Part, frozen=True, kw_only=True):
    """How pixels become numbers: (pixel * scale - mean) / std per channel, in `colour_order`.

    The recommended form is uint8, NHWC, RGB with the default scale, mean and std: the graph then normalises itself, and
    nothing can differ between the desktop and the robot.
    """

    layout: Literal["NHWC", "NCHW"]
    colour_order: Literal["RGB", "BGR"]
    scale: Positive = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: PositiveTriple = (1.0, 1.0, 1.0)


class TensorSpec(_Part, frozen=True, kw_only=True):
    """One input or output of a graph; a symbolic dimension is a string, such as "batch"."""

    name: Text
    shape: tuple[Dimension, ...]
    dtype: Literal["uint8", "int32", "int64", "float16", "float32", "bool"]
    image: ImageInput | None = None


class Golden(_Part, frozen=True, kw_only=True):
    """Inputs with the outputs that the exporter measured, as arrays `input:<name>` and `output:<name>` of an .npz."""

    file: Text
    tolerance: Positive


class Model(_Part, frozen=True, kw_only=True):
    """One ONNX file with its inputs and outputs in the graph's order."""

    file: Text
    inputs: Annotated[tuple[TensorSpec, ...], Meta(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Meta(min_length=1)]
    golden: Golden | None = None


class Crop(_Part, frozen=True, kw_only=True):
    """The aligned face that the encoder takes; see `rapport_edge.alignment.CropTemplate`."""

    size: Annotated[int, Meta(ge=16, le=1024)]
    scale: Annotated[float, Meta(gt=0.1, lt=3.0)] = 1.0
    shift_y: Annotated[float, Meta(gt=-0.5, lt=0.5)] = 0.0


class Calibration(_Part, frozen=True, kw_only=True):
    """probabilities = softmax(scale * embedding @ prompts.T + bias), fitted on data held out from training."""

    scale: Positive
    bias: tuple[float, ...]


class _Head(_Part, tag_field="kind", frozen=True, kw_only=True):
    """A zero-shot head: one prompt embedding per label, as CLIP classifies."""

    name: Name
    labels: Annotated[tuple[Text, ...], Meta(min_length=2)]
    prompts: dict[str, Annotated[tuple[Text, ...], Meta(min_length=1)]]
    array: Text
    calibration: Calibration


class CategoricalHead(_Head, tag="categorical", frozen=True, kw_only=True):
    """Labels without order; "unknown" when the most probable one is less probable than `unknown_below`."""

    unknown_below: Probability


class OrdinalHead(_Head, tag="ordinal", frozen=True, kw_only=True):
    """Bins of years in ascending order; "unknown" when the distribution's standard deviation is above the limit.

    `bin_edges` are completed years: label i holds bin_edges[i] up to but not including bin_edges[i + 1].
    """

    bin_edges: tuple[Annotated[float, Meta(ge=0.0, le=150.0)], ...]
    unknown_above_std: Positive


Head: TypeAlias = CategoricalHead | OrdinalHead


TokenId = Annotated[int, Meta(ge=0)]


class _TextTower(_Part, tag_field="vocabulary", frozen=True, kw_only=True):
    """The text side of a dual encoder: token ids (n, context_length) int64 to embeddings that faces compare with.

    A sentence is `start`, its tokens, `end`, and zeros up to `context_length`. `sentences` are those of the model's
    golden inputs, so that the way from text to tokens is verified, too.
    """

    model: Text
    context_length: Annotated[int, Meta(ge=3, le=4096)]
    start: TokenId
    end: TokenId
    sentences: Annotated[tuple[Text, ...], Meta(min_length=1)]


class ClosedText(_TextTower, tag="closed", frozen=True, kw_only=True):
    """Knows the listed words and no others; each has one token, or a few."""

    words: Annotated[
        dict[Text, Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(min_length=1)]], Meta(min_length=1)
    ]


class OpenText(_TextTower, tag="open", frozen=True, kw_only=True):
    """Knows every word, through a tokenizer in the format of the `tokenizers` library."""

    tokenizer: Text


TextTower: TypeAlias = ClosedText | OpenText


class Metric(_Part, frozen=True, kw_only=True):
    """One figure that the bundle was accepted on, over all faces of a split or over one group of them."""

    name: Name
    value: float
    split: Text
    n: Annotated[int, Meta(ge=0)]
    group: str = ""


class DataSet(_Part, frozen=True, kw_only=True):
    """Where the figures or the training faces come from, with the attribution that its licence asks for."""

    name: Text
    role: Literal["training", "evaluation", "training and evaluation"]
    licence: Text
    attribution: str = ""
    url: str = ""


class Licence(_Part, frozen=True, kw_only=True):
    """The licence of a part of the bundle, such as "weights"."""

    applies_to: Text
    licence: Text


class BundleManifest(_Part, tag_field="task", frozen=True, kw_only=True):
    """What every task states; `task` says which of the Structs below a manifest is."""

    format_version: int
    name: Name
    version: Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+\Z")]
    description: str = ""
    models: Annotated[tuple[Model, ...], Meta(min_length=1)]
    licences: Annotated[tuple[Licence, ...], Meta(min_length=1)]
    datasets: tuple[DataSet, ...] = ()
    metrics: tuple[Metric, ...] = ()
    commit: Text
    created: Date
    files: dict[str, Sha256] = {}


class FaceEncoderManifest(BundleManifest, frozen=True, kw_only=True):
    """What encoders of aligned faces state; their first model takes the crop and gives the embedding."""

    crop: Crop
    embedding_dim: Annotated[int, Meta(ge=1, le=65536)]


class DemographicEncoder(FaceEncoderManifest, tag="demographic-encoder", frozen=True, kw_only=True):
    """Aligned faces to embeddings and, through prompt embeddings, to attributes; with a text tower, sentences, too."""

    attributes: Annotated[tuple[Head, ...], Meta(min_length=1)]
    text: TextTower | None = None


class FaceRecognizer(FaceEncoderManifest, tag="face-recognizer", frozen=True, kw_only=True):
    """Aligned faces to embeddings of identity; `match_threshold` is the cosine from which two are one person."""

    match_threshold: Annotated[float, Meta(ge=-1.0, le=1.0)]


class FaceDetectorManifest(BundleManifest, tag="face-detector", frozen=True, kw_only=True):
    """Pictures to faces."""


class ProfileWriter(BundleManifest, tag="profile-writer", frozen=True, kw_only=True):
    """A person's texts and images to a written profile."""


class CategoryField(_Part, frozen=True, kw_only=True):
    """A categorical feature of items or users, and where the values lie that the training knew.

    `vocabulary` is a .json list of strings: the value at position i has index i + 2. Index 0 is nothing, index 1 is a
    value that the list does not have. `columns` is how many values one row may have, padded with 0.
    """

    name: Name
    columns: Annotated[int, Meta(ge=1, le=1000)] = 1
    vocabulary: Text


class ItemContent(_Part, frozen=True, kw_only=True):
    """What items look like and say: one multi-modal embedding per item, all of one encoder.

    `ids` is a .json list of item ids, `vectors` an .npy array float16 (ids, dimension); a centre of the same encoder
    may stand in for both.
    """

    encoder: Text
    dimension: Annotated[int, Meta(ge=1, le=65536)]
    ids: Text
    vectors: Text


class InterestRanker(BundleManifest, tag="interest-ranker", frozen=True, kw_only=True):
    """A person's history and candidates to the order of what to suggest.

    The model takes `user`, `items`, `history`, and `age`, `item_content` and `history_content` where it uses them; it
    gives `scores`.
    """

    history_length: Annotated[int, Meta(ge=1, le=1_000_000)]
    item_fields: Annotated[tuple[CategoryField, ...], Meta(min_length=1)]
    user_fields: tuple[CategoryField, ...] = ()
    content: ItemContent | None = None
    catalogue: Text
    protocol: Text


Manifest: TypeAlias = DemographicEncoder | FaceRecognizer | FaceDetectorManifest | ProfileWriter | InterestRanker

#: The Struct of each task.
TASKS: Final[dict[str, type[BundleManifest]]] = {
    "demographic-encoder": DemographicEncoder,
    "face-recognizer": FaceRecognizer,
    "face-detector": FaceDetectorManifest,
    "profile-writer": ProfileWriter,
    "interest-ranker": InterestRanker,
}


def task_of(manifest: BundleManifest) -> str:
    """The manifest's task, such as "demographic-encoder"."""
    return str(type(manifest).__struct_config__.tag)


def encode_manifest(manifest: BundleManifest) -> bytes:
    """The text of `bundle.json`, indented for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
