"""The dual encoder and its tokenizer, built by open_clip from a model's name or from a configuration of its format."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from open_clip import list_models
from open_clip.factory import get_model_config
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from rapport_edge.errors import RapportError, SettingsError

#: What open_clip and timm raise for fields that they do not know or cannot build.
_BAD_FIELDS = (TypeError, RuntimeError, ValueError, AssertionError)


class Tokenizer(Protocol):
    """Sentences to numbers."""

    def __call__(self, texts: str | list[str]) -> Tensor:
        """(n, context) int64: start, tokens, end, padding of zeros; a single sentence gives n = 1."""
        ...


class CaptionError(RapportError):
    """A caption with more tokens than the text tower takes."""


class CaptionTokenizer(SimpleTokenizer):
    """CLIP's byte-pair tokenizer, which says so instead of cutting when a caption is too long.

    Attributes:
        truncate: cut long captions in silence, as open_clip does; the last token that is kept is the end token.
    """

    def __init__(self, context_length: int, *, truncate: bool = False, **options: Any) -> None:
        super().__init__(context_length=context_length, **options)
        self.truncate = truncate

    def __call__(self, texts: str | list[str], context_length: int | None = None) -> Tensor:
        """(n, context) int64.

        Raises:
            CaptionError: naming the first caption that has more tokens than the context, start and end included.
        """
        tokens: Tensor = super().__call__(texts, context_length)
        if not self.truncate:
            given = [texts] if isinstance(texts, str) else texts
            for row in torch.nonzero(tokens[:, -1]).flatten().tolist():  # full to the last place, or cut there
                self._check_length(given[row], tokens.shape[1])
        return tokens

    def _check_length(self, text: str, context: int) -> None:
        count = len(self.encode(text)) + 2
        if count > context:
            raise CaptionError(
                f"the caption that begins with {text[:60]!r} has {count} tokens, but the text tower takes {context}; "
                "shorten it, or ask for truncation"
            )


def model_config(config: str | Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a model that open_clip knows by name, or a copy of the one that is given.

    Raises:
        SettingsError: for an unknown name, with those that are close to it.
    """
    if not isinstance(config, str):
        return dict(config)
    if config in list_models():
        return dict(get_model_config(config))
    close = difflib.get_close_matches(config, list_models(), n=4, cutoff=0.5)
    raise SettingsError(
        f"open_clip knows no model {config!r}"
        + (f"; close to it are {', '.join(close)}" if close else "; open_clip.list_models() names all that it knows")
    )


def build_model(config: str | Mapping[str, Any]) -> CLIP | CustomTextCLIP:
    """A dual encoder with random weights; nothing is ever downloaded.

    CLIP's ViT-B/16 and FaRL are "ViT-B-16-quickgelu": both were trained with QuickGELU, x * sigmoid(1.702 x).

    Args:
        config: a name of `open_clip.list_models()`, or embed_dim, vision_cfg, text_cfg and optionally quick_gelu and
            custom_text, as in open_clip's model_configs/*.json; a timm image tower is vision_cfg["timm_model_name"].

    Raises:
        SettingsError: for an unknown name, a field that open_clip does not know, or a model whose text tower would
            have to be downloaded.
    """
    settings = model_config(config)
    what = repr(config) if isinstance(config, str) else "configuration"
    _refuse_other_kinds(settings, what)
    kind = CustomTextCLIP if settings.pop("custom_text", False) else CLIP
    vision = {**settings.pop("vision_cfg"), "timm_model_pretrained": False}
    try:
        model = kind(vision_cfg=vision, text_cfg=dict(settings.pop("text_cfg")), **settings)
        _set_image_size(model.visual)
    except _BAD_FIELDS as error:
        raise SettingsError(f"model {what}: {error}") from error
    return model


def check_crop_sizes(model: CLIP | CustomTextCLIP, sizes: Iterable[int]) -> None:
    """Shows the image tower one black crop of each size.

    Raises:
        SettingsError: for the first size, in pixels, that it does not take.
    """
    training, device = model.training, model.logit_scale.device
    model.eval()
    for size in sorted(set(sizes)):
        try:
            with torch.no_grad():
                model.encode_image(torch.zeros(1, 3, size, size, device=device))
        except _BAD_FIELDS as error:
            raise SettingsError(f"the image tower does not take crops of {size} pixels: {error}") from error
    model.train(training)


def build_tokenizer(config: str | Mapping[str, Any], *, truncate: bool = False) -> CaptionTokenizer:
    """CLIP's byte-pair tokenizer with the context length of the model's text tower.

    Args:
        config: as for `build_model`.
        truncate: cut captions that are longer than the context, instead of refusing them.

    Raises:
        SettingsError: if the model speaks another vocabulary, whose files would have to be downloaded.
    """
    text = model_config(config)["text_cfg"]
    other = text.get("hf_tokenizer_name")
    if other:
        raise SettingsError(f"the model's tokenizer is {other!r}, which is not part of open_clip; choose another model")
    options = dict(text.get("tokenizer_kwargs") or {})
    tokenizer = CaptionTokenizer(int(text.get("context_length", 77)), truncate=truncate, **options)
    rows = int(text.get("vocab_size", tokenizer.vocab_size))
    if rows < tokenizer.vocab_size:
        raise SettingsError(f"text_cfg.vocab_size is {rows}, but CLIP's tokenizer has {tokenizer.vocab_size} tokens")
    return tokenizer


@torch.no_grad()
def encode_prompts(model: CLIP | CustomTextCLIP, tokenizer: Tokenizer, prompts: list[str]) -> Tensor:
    """(len(prompts), d) unit vectors."""
    device = model.logit_scale.device
    return model.encode_text(tokenizer(prompts).to(device), normalize=True)


def _set_image_size(visual: nn.Module) -> None:
    """Tells a timm transformer the configuration's image_size; open_clip leaves it at what timm's name stands for."""
    patches = getattr(getattr(visual, "trunk", None), "patch_embed", None)
    built_for = getattr(patches, "img_size", None)
    if built_for is not None and tuple(built_for) != tuple(visual.image_size):
        visual.set_input_size(visual.image_size)


def _refuse_other_kinds(settings: Mapping[str, Any], what: str) -> None:
    missing = [name for name in ("embed_dim", "vision_cfg", "text_cfg") if name not in settings]
    if missing:
        raise SettingsError(f"model {what} lacks {', '.join(missing)}")
    if "multimodal_cfg" in settings:
        raise SettingsError(f"model {what} has a caption decoder, which a dual encoder has no use for; choose another")
    if settings["text_cfg"].get("hf_model_name"):
        raise SettingsError(f"model {what} takes its text tower from a hub; choose one that open_clip builds by itself")


__all__ = [
    "CLIP",
    "CaptionError",
    "CaptionTokenizer",
    "Tokenizer",
    "build_model",
    "build_tokenizer",
    "check_crop_sizes",
    "encode_prompts",
    "model_config",
]
