"""The text tower as an ONNX graph, closed to words about gender and age or open to every word."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from rapport_edge.bundle.manifest import ClosedText, Golden, Model, OpenText, TensorSpec, TextTower
from rapport_edge.bundle.vocabulary import ALLOWED_WORDS, split_words
from rapport_edge.errors import RapportError
from rapport_edge.labels import AGE_BINS, GENDERS
from rapport_training.demographic.captions import caption, paraphrases
from rapport_training.demographic.onnx_export import export_text_tower, store_weights_as_fp16
from rapport_training.demographic.parity import check_parity

TEXT_NAME, TEXT_GOLDEN_NAME, TOKENIZER_NAME = "text_encoder.onnx", "text_golden.npz", "tokenizer.json"

#: Sentences, besides the golden ones, on which graph and PyTorch are compared at each export.
_COMPARED = 32

#: Of words that every vocabulary has.
GOLDEN_SENTENCES = (
    "a woman in their twenties",
    "a man of about 60 years",
    "The person appears to be female",
    "The person appears to be approximately 3-9 years old",
)


class ExportedText(nn.Module):
    """Token ids to unit vectors; with `kept`, its embedding table has these rows only.

    Args:
        model: whose text tower is copied.
        kept: old ids in the order of their new ones; None for all.

    Raises:
        RapportError: if the tower finds the end of a sentence in another way than by the highest id.
    """

    def __init__(self, model: CLIP | CustomTextCLIP, kept: Sequence[int] | None = None) -> None:
        super().__init__()
        # The memo spares the copy of the image tower, which is the larger one.
        self.model = copy.deepcopy(model, {id(model.visual): nn.Identity()}).cpu().eval()
        part = self.model.text if isinstance(self.model, CustomTextCLIP) else self.model
        if kept is not None:
            pool = part.pool_type if isinstance(self.model, CustomTextCLIP) else self.model.text_pool_type
            if pool != "argmax":
                raise RapportError(f"a text tower with pooling {pool!r} cannot be cut to some words; export it open")
            part.token_embedding = nn.Embedding.from_pretrained(part.token_embedding.weight[list(kept)].detach())

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, context) int64 -> (n, d) float32, unit length."""
        return self.model.encode_text(tokens, normalize=True)


@dataclass(frozen=True)
class TextFiles:
    """A text tower, ready for a bundle.

    Attributes:
        part: the manifest's part about it.
        model: the manifest's description of its graph.
        files: contents by name.
        parity: largest relative distance of the graph's embeddings to PyTorch's.
    """

    part: TextTower
    model: Model
    files: Mapping[str, Any]
    parity: float


@dataclass(frozen=True)
class Vocabulary:
    """The words of a closed text tower.

    Attributes:
        kept: old token ids in the order of their new ones; the first is 0, which fills up.
        words: new ids by word.
        start, end: new ids of the tokens around a sentence; `end` is the highest, which is how CLIP finds it.
    """

    kept: tuple[int, ...]
    words: Mapping[str, tuple[int, ...]]
    start: int
    end: int


def export_text(
    model: CLIP | CustomTextCLIP, tokenizer: SimpleTokenizer, *, open_vocabulary: bool, half_weights: bool
) -> TextFiles:
    """The text tower with its tokenizer and golden sentences.

    Args:
        model: on the CPU; with `half_weights`, its weights are rounded already.
        tokenizer: of the model.
        open_vocabulary: every word, instead of those about gender and age.
        half_weights: store them as float16.

    Raises:
        RapportError: if the graph does not compute what PyTorch computes on real sentences.
    """
    sentences = plain_sentences()
    vocabulary = None if open_vocabulary else close_vocabulary(tokenizer, sentences)
    tower = ExportedText(model, vocabulary and vocabulary.kept)
    compared = [*GOLDEN_SENTENCES, *sentences[:: max(1, len(sentences) // _COMPARED)]]
    tokens = tokenizer(compared)
    with torch.no_grad():
        # By the whole model: what a closed tower must reproduce with its own table and ids.
        expected = model.encode_text(tokens, normalize=True).numpy()
    inputs = translated(tokens, vocabulary)
    onnx_file = export_text_tower(tower, inputs)
    onnx_file = store_weights_as_fp16(onnx_file) if half_weights else onnx_file
    count = len(GOLDEN_SENTENCES)
    golden = {"input:tokens": inputs[:count].numpy(), "output:embeddings": expected[:count]}
    files: dict[str, Any] = {TEXT_NAME: onnx_file, TEXT_GOLDEN_NAME: golden}
    if vocabulary is None:
        files[TOKENIZER_NAME] = open_tokenizer(tokenizer)
    context, dim = inputs.shape[1], expected.shape[1]
    parity = check_parity(onnx_file, "tokens", inputs.numpy(), expected)
    return TextFiles(text_part(tokenizer, context, vocabulary), text_model(context, dim), files, parity)


def plain_sentences() -> list[str]:
    """Every sentence of the views that speak of gender and age only."""
    sentences = {caption("gender", race="", gender=gender, age="") for gender in GENDERS}
    sentences |= {caption("age", race="", gender="", age=age) for age in AGE_BINS}
    return sorted(sentences.union(*(paraphrases(gender, age) for gender in GENDERS for age in AGE_BINS)))


def close_vocabulary(tokenizer: SimpleTokenizer, sentences: Iterable[str]) -> Vocabulary:
    """The vocabulary of some sentences.

    Raises:
        RapportError: if a word is not one that a robot accepts without a policy.
    """
    words = sorted({word for sentence in sentences for word in split_words(sentence)})
    strange = [word for word in words if word not in ALLOWED_WORDS]
    if strange:
        raise RapportError(f"sentences use {', '.join(strange)}, which rapport_edge.bundle.vocabulary does not list")
    tokens = {word: tokenizer.encode(word) for word in words}
    used = sorted({token for pieces in tokens.values() for token in pieces})
    kept = (0, *used, tokenizer.sot_token_id, tokenizer.eot_token_id)
    new = {old: index for index, old in enumerate(kept) if index}
    mapped = {word: tuple(new[token] for token in pieces) for word, pieces in tokens.items()}
    return Vocabulary(kept, mapped, len(kept) - 2, len(kept) - 1)


def open_tokenizer(tokenizer: SimpleTokenizer) -> bytes:
    """CLIP's byte-pair tokenizer in the format of the `tokenizers` library; text comes to it cleaned.

    The marks of start and end are read as any other text: who asks a robot something must not be able to end a sentence
    early.
    """
    from tokenizers import Regex, models, pre_tokenizers
    from tokenizers import Tokenizer as LibraryTokenizer

    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    library = LibraryTokenizer(models.BPE(tokenizer.encoder, merges, end_of_word_suffix="</w>"))
    pattern = Regex(r"(?i)'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return json.dumps(json.loads(library.to_str()), ensure_ascii=False, separators=(",", ":")).encode()


def text_part(tokenizer: SimpleTokenizer, context: int, vocabulary: Vocabulary | None) -> TextTower:
    """The manifest's part about the text tower; None for `vocabulary` means open."""
    common = {"model": TEXT_NAME, "context_length": context, "sentences": GOLDEN_SENTENCES}
    if vocabulary is None:
        start, end = tokenizer.sot_token_id, tokenizer.eot_token_id
        return OpenText(**common, start=start, end=end, tokenizer=TOKENIZER_NAME)
    return ClosedText(**common, start=vocabulary.start, end=vocabulary.end, words=dict(vocabulary.words))


def text_model(context: int, dim: int) -> Model:
    """The manifest's description of the graph."""
    return Model(
        file=TEXT_NAME,
        inputs=(TensorSpec(name="tokens", shape=("batch", context), dtype="int64"),),
        outputs=(TensorSpec(name="embeddings", shape=("batch", dim), dtype="float32"),),
        golden=Golden(file=TEXT_GOLDEN_NAME, tolerance=1e-3),
    )


def translated(tokens: Tensor, vocabulary: Vocabulary | None) -> Tensor:
    """Tokens of the whole vocabulary as those of a closed one.

    Raises:
        KeyError: for a token that is not kept.
    """
    if vocabulary is None:
        return tokens
    new = {old: index for index, old in enumerate(vocabulary.kept)}
    return torch.tensor([[new[token] for token in row] for row in tokens.tolist()])
