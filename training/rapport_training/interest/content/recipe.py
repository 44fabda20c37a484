"""A recipe of a content encoder: towers, pre-training and C-SFT, read from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rapport_training.demographic.pixels import Pixels
from rapport_training.demographic.recipe import MaskedImage
from rapport_training.seeds import Seed
from rapport_training.yaml_files import RECIPES, read_yaml, shipped_or_own

Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Part = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
CountOrNone = Annotated[int, msgspec.Meta(ge=0)]
Pooling = Literal["cls", "last", "mean"]
Signal = Literal["strongest", "purchase", "click", "category"]


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A misspelt setting is refused, not ignored."""


class Vision(_Settings, frozen=True, kw_only=True):
    """F_V.

    Attributes:
        model: a name of timm's, such as resnet50, swin_tiny_patch4_window7_224, convnext_tiny, convnextv2_large,
            eva02_base_patch14_224, beit3_base_patch16_224; or compact-small, compact, compact-large.
        image_size: side of the pictures in pixels, squeezed into a square.
        weights: "" for random ones, "timm" to have timm load its own, else a local file.
        options: further ones of timm's `create_model`.
        pixels: mean and deviation that the tower expects; None for timm's word on it.
    """

    model: str = "compact"
    image_size: Annotated[int, msgspec.Meta(ge=16, le=1024)] = 32
    weights: str = ""
    options: dict[str, Any] = {}
    pixels: Pixels | None = None


class Language(_Settings, frozen=True, kw_only=True):
    """F_L.

    Attributes:
        model: a name or folder of transformers', such as bert-base-uncased, gpt2, BAAI/bge-base-en-v1.5; or
            compact-small, compact, compact-large: BERT with random weights; compact-gpt2.
        random_weights: of a named model take configuration and vocabulary only.
        vocabulary: for compact ones a file of WordPieces (vocab.txt); "" to build one from the catalogue's titles.
        words: most words of a vocabulary that is built.
        max_length: tokens of a title at most, with [CLS] and [SEP].
        pooling: None for what the model was made for: CLS for BERT and BGE, the last token for GPT-2, the mean for
            compact ones. BGE's vectors are normalised, too; here every tower's are.
    """

    model: str = "compact"
    random_weights: bool = False
    vocabulary: str = ""
    words: Count = 8000
    max_length: Annotated[int, msgspec.Meta(ge=4, le=512)] = 24
    pooling: Pooling | None = None


class Optimisation(_Settings, frozen=True, kw_only=True):
    """AdamW with linear warm-up and a cosine decay to zero; batch_size is of all processes together."""

    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 256
    learning_rate: Positive = 1e-3
    warmup_steps: CountOrNone = 20
    weight_decay: NonNegative = 0.05
    gradient_clip: NonNegative = 1.0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"


class Pretraining(_Settings, frozen=True, kw_only=True):
    """Section 3.2. With no epochs at all the run holds the plain foundation models.

    Attributes:
        dda_epochs: of downstream data adaptation: masked images and masked (or causal) language, each tower its own.
        dma_epochs: of different modal alignment: image-text contrast.
        masked_image: masks and loss, as of the face encoder; None leaves F_V out of DDA.
        patch: side of a hidden patch in pixels, where the tower has no patches of its own.
        masked_language: share of the tokens that are hidden; BERT's 0.15. 0 leaves F_L out of DDA.
        tokenizer_epochs: without a file, an image tokenizer is trained on the catalogue for so many epochs.
        tokenizer_vocabulary: tokens of that one.
    """

    dda_epochs: CountOrNone = 0
    dma_epochs: CountOrNone = 0
    masked_image: MaskedImage | None = MaskedImage()
    patch: Annotated[int, msgspec.Meta(ge=2)] = 16
    masked_language: Part = 0.15
    tokenizer_epochs: Count = 10
    tokenizer_vocabulary: Annotated[int, msgspec.Meta(ge=2)] = 256
    optimisation: Optimisation = Optimisation()

    @property
    def epochs(self) -> int:
        """Of both parts."""
        return self.dda_epochs + self.dma_epochs


class Csft(_Settings, frozen=True, kw_only=True):
    """Section 3.3.

    Attributes:
        signal: what makes an interest pair (`csft.pairs`): purchases, clicks, or the stronger one that the log has.
            "category" goes with cross-entropy alone.
        liked: least label of an event that counts as liking; four of five stars are 0.8.
        loss: "contrastive", equations (5) and (6), or "cross-entropy", Table 4's v1 to v3 (`csft.cross_entropy`).
        negatives: "space-time", or "batch": only the batch's other pairs (Table 5, without ST-NSG).
        queue: k, how many of the last batches serve as negatives; for towers that learn fast, see `NegativeQueue`.
        alpha, beta: weights of the losses on titles and on images alone in (6); 0 and 0 is Table 5, w/o multi-level.
        fusion: equation (3), or "concatenation" (Table 5, without TFN).
        temperature: of (5); the paper prints none. It is learned from this value on, within CLIP's bounds, unless it is
            fixed.
        missing_modality: share of the items of an epoch that are trained without title or without picture, so that the
            encoder knows items that lack one. Not in the paper.
        validation_share: of the pairs, the latest ones.
        patience: stop after so many epochs without a lower validation loss and keep the best. 0: train to the end.
    """

    signal: Signal = "strongest"
    liked: Part = 0.75
    loss: Literal["contrastive", "cross-entropy"] = "contrastive"
    negatives: Literal["space-time", "batch"] = "space-time"
    queue: CountOrNone = 10
    alpha: NonNegative = 0.5
    beta: NonNegative = 0.5
    fusion: Literal["tensor", "concatenation"] = "tensor"
    temperature: Positive = 0.07
    learn_temperature: bool = True
    missing_modality: Part = 0.0
    validation_share: Part = 0.05
    patience: CountOrNone = 0
    epochs: Count = 3
    optimisation: Optimisation = Optimisation()

    @property
    def queued_batches(self) -> int:
        """k, or 0 where negatives are the batch's alone."""
        return self.queue if self.negatives == "space-time" else 0


class ContentRecipe(_Settings, frozen=True, kw_only=True):
    """Settings of `rapport-train interest pretrain` and `csft`.

    Attributes:
        width: d, of h^img, h^txt and h^MM, which (5) compares: a linear layer takes each tower to it.
        hidden: of the MLP (4).
    """

    name: str
    seed: Seed = 0
    vision: Vision = Vision()
    language: Language = Language()
    width: Annotated[int, msgspec.Meta(ge=4)] = 64
    hidden: Count = 128
    pretraining: Pretraining = Pretraining()
    csft: Csft = Csft()


def load_content_recipe(path: Path) -> ContentRecipe:
    """Reads and checks a recipe.

    Raises:
        SettingsError: naming the file and what is wrong.
    """
    return read_yaml(path, ContentRecipe, "recipe", _contradiction)


def content_recipe_path(name: str) -> Path:
    """The shipped recipe of a name, or the file itself."""
    return shipped_or_own(name, RECIPES / "interest", "recipe")


def _contradiction(recipe: ContentRecipe) -> str:
    """What no single field's range can say; "" if all is well."""
    if recipe.csft.signal == "category" and recipe.csft.loss != "cross-entropy":
        return "the signal category goes with the loss cross-entropy"
    return ""
