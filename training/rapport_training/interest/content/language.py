"""F_L: text towers from transformers, by name or folder, and compact ones that train on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, GPT2Config, PreTrainedConfig

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.recipe import Language, Pooling
from rapport_training.interest.content.vocabulary import read_pieces, tokenizer_of, wordpieces_of

#: Compact towers of growing strength: width and layers.
COMPACT: Final = {"compact-small": (32, 1), "compact": (64, 2), "compact-large": (128, 4), "compact-gpt2": (64, 2)}
#: A family of models whose position embeddings count from behind the padding's index would need another mask.
_CAUSAL: Final = ("gpt2", "gpt_neo", "gptj", "llama", "qwen2", "mistral")


class Titles(NamedTuple):
    """Tokens of titles.

    Attributes:
        ids: (n, L) int64; padded with the tokenizer's padding on the right.
        mask: (n, L) int64, 1 where there is a token.
    """

    ids: Tensor
    mask: Tensor

    def rows(self, rows: Tensor) -> Titles:
        """Some of them, without columns that only pad."""
        mask = self.mask[rows]
        length = max(1, int(mask.sum(dim=1).max())) if len(rows) else 1
        return Titles(self.ids[rows][:, :length], mask[:, :length])


class LanguageTower(nn.Module):
    """Titles to features.

    Attributes:
        model: transformers' model without a head.
        tokenizer: its own, or one over the catalogue's words.
        dimension: length of the features.
        causal: whether it reads from left to right, as GPT-2.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, max_length: int, pooling: Pooling | None) -> None:
        super().__init__()
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length
        self.causal = model.config.model_type in _CAUSAL
        self.pooling: Pooling = pooling or ("last" if self.causal else "cls")
        self.dimension = int(model.config.hidden_size)
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # BERT's, for sentence pairs: nothing here reads it
        if tokenizer.pad_token_id is None:  # GPT-2 has none; the mask hides what stands in its place
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"

    def tokenise(self, titles: Sequence[str]) -> Titles:
        """Tokens of titles, cut to `max_length`."""
        found = self.tokenizer(
            list(titles), padding=True, truncation=True, max_length=self.max_length, return_tensors="np"
        )
        ids, mask = (np.asarray(found[name], dtype=np.int64) for name in ("input_ids", "attention_mask"))
        return Titles(*(torch.from_numpy(np.atleast_2d(part)) for part in (ids, mask)))

    def forward(self, titles: Titles) -> Tensor:
        """N titles -> (n, dimension)."""
        hidden = self.model(input_ids=titles.ids, attention_mask=titles.mask).last_hidden_state
        return pooled(hidden, titles.mask, self.pooling)


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """(n, L, w) -> (n, w): the first token's, the last real token's, or the mean of the real ones."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), (mask.sum(dim=1) - 1).clamp(min=0)]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def new_language_tower(settings: Language, titles: Sequence[str]) -> LanguageTower:
    """The tower before any training here: published weights for a name or folder, random ones for a compact model.

    Args:
        settings: which.
        titles: of the catalogue, for a vocabulary.

    Raises:
        SettingsError: if the model or its vocabulary cannot be read, or no library has its text side.
    """
    if "beit3" in settings.model.replace("-", "").lower():
        raise SettingsError(
            "BEiT-3's text side is in none of timm, transformers and open_clip: timm has its vision experts alone "
            "(vision model beit3_base_patch16_224 or beit3_large_patch16_224); take a language model beside it"
        )
    if settings.model in COMPACT:
        pieces = (
            read_pieces(Path(settings.vocabulary)) if settings.vocabulary else wordpieces_of(titles, settings.words)
        )
        tokenizer = tokenizer_of(pieces)
        return LanguageTower(_compact(settings, len(pieces)), tokenizer, settings.max_length, _pooling(settings))
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.model)
        if settings.random_weights:
            model = AutoModel.from_config(AutoConfig.from_pretrained(settings.model))
        else:
            model = AutoModel.from_pretrained(settings.model)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise SettingsError(f"transformers cannot load the language model {settings.model!r}: {reason}") from error
    return LanguageTower(model, tokenizer, settings.max_length, _pooling(settings))


def save_language(tower: LanguageTower, folder: Path) -> None:
    """Configuration and tokenizer, everything but weights, so that a run needs nobody's files."""
    tower.model.config.save_pretrained(folder)
    tower.tokenizer.save_pretrained(folder)


def saved_language_tower(settings: Language, folder: Path) -> LanguageTower:
    """The tower of `save_language`, with random weights.

    Raises:
        SettingsError: if the folder is not one.
    """
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{folder} holds no language model's configuration: {error}") from error
    return LanguageTower(AutoModel.from_config(config), tokenizer, settings.max_length, _pooling(settings))


def _pooling(settings: Language) -> Pooling | None:
    """The first token of a BERT with random weights has read nothing yet, and all titles would look alike."""
    compact_bert = settings.model in COMPACT and settings.model != "compact-gpt2"
    return settings.pooling or ("mean" if compact_bert else None)


def _compact(settings: Language, vocabulary: int) -> nn.Module:
    width, layers = COMPACT[settings.model]
    heads = max(1, width // 32)
    if settings.model == "compact-gpt2":
        config: PreTrainedConfig = GPT2Config(
            vocab_size=vocabulary,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            n_positions=settings.max_length,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    else:
        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            max_position_embeddings=settings.max_length,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    return AutoModel.from_config(config)
