"""A recipe: everything that decides what the training of a click-through-rate model computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from rapport_training.seeds import Seed
from rapport_training.yaml_files import RECIPES, read_yaml, shipped_or_own

Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
CountOrNone = Annotated[int, msgspec.Meta(ge=0)]
Model = Literal["average", "din", "dien", "bst", "sim", "twin"]

#: Choices that only some models have. Of sizes, several models may share one list, so that unknown ones are let be.
_CHOICES: Final[dict[str, tuple[Model, ...]]] = {
    "pooling": ("bst",),
    "search": ("sim",),
    "position": ("bst", "sim", "twin"),
    "auxiliary_weight": ("dien", "sim"),
}

#: Where the shipped recipes lie.
FOLDER = RECIPES / "interest"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A misspelt setting is refused, not ignored."""


class Mim(_Part, frozen=True, kw_only=True):
    """MIM's modules, which Table 5 switches off one by one.

    Attributes:
        id: the base model's interest, equation (1).
        content: equation (7).
        fusion: equation (8).
    """

    id: bool = True
    content: bool = True
    fusion: bool = True


class CtrRecipe(_Part, frozen=True, kw_only=True):
    """Settings of `rapport-train interest fit`.

    A choice that the model does not have is refused. Sizes that it does not have say nothing, so that models can share
    a list of them.

    Attributes:
        model: the user-behaviour model.
        mim: false for the model alone, true for all of MIM's modules, or which of them.
        content_pooling: equations (7) and (8) are sums, which grow with the history and at the start of a training are
            much larger than ID embeddings; "mean" divides them by its length.
        embedding_dim: of every field's embedding, E / number of item fields.
        embedding_std: standard deviation of their start.
        hidden: layers of the deep network; activation and batch_norm are theirs, too.
        attention_hidden: layers of DIN's activation unit, with Dice.
        attention_dropout: of BST's attention.
        heads, layers: of BST; heads of SIM's and TWIN's exact search units, too.
        pooling: how BST's outputs become one vector: the target's alone, or their mean, for which a ranking computes
            the whole transformer once for each candidate.
        search: SIM's general search unit: by embedding ("soft"), or by category ("hard"), which its authors serve
            because it is cheaper.
        top_k: behaviours that SIM's and TWIN's general search units keep.
        short_length: newest behaviours that SIM's short-term model, DIEN, sees; 0 for none.
        position: what BST, SIM and TWIN know about when a behaviour was: its place in the order, or its age, which
            needs a log with times.
        auxiliary_weight: of DIEN's auxiliary loss and of SIM's soft search's; others have none.
        history_length: the newest so many behaviours are read.
        use_user_id: whether the user's index is a feature; a robot meets users that were never trained.
        unknown_share: of samples whose target item, and of those whose user, is called unknown in training, so that the
            unknown one's embedding means something: for a ranker that will meet items which training did not have.
            What the training split lacks is called unknown in any case.
        lazy_rows_above: embedding tables of more rows are updated by `torch.optim.SparseAdam`, which touches only the
            rows of a batch; Adam would also move the others on by their momentum. 0: all are.
        learning_rate: Adam's.
        weight_decay: L2, as Adam adds it to the gradients of all but lazily updated tables.
        patience: stop after so many epochs without a higher validation AUC and keep the best one's weights. 0: train to
            the end and keep the last.
        batch_size: of all processes together.
    """

    name: str
    seed: Seed = 0
    model: Model
    mim: bool | Mim = False
    content_pooling: Literal["sum", "mean"] = "sum"
    embedding_dim: Count = 16
    embedding_std: Positive = 1e-4
    hidden: tuple[Count, ...] = (128, 64)
    activation: Literal["relu", "dice"] = "relu"
    attention_hidden: Annotated[tuple[Count, ...], msgspec.Meta(min_length=1)] = (64,)
    attention_dropout: Share = 0.0
    heads: Count = 4
    layers: Count = 1
    pooling: Literal["mean", "target"] = "target"
    search: Literal["soft", "hard"] = "soft"
    top_k: Count = 100
    short_length: CountOrNone = 0
    position: Literal["order", "age"] = "order"
    auxiliary_weight: NonNegative = 0.0
    dropout: Share = 0.1
    batch_norm: bool = True
    history_length: Count = 100
    use_user_id: bool = False
    unknown_share: Share = 0.0
    lazy_rows_above: CountOrNone = 50_000
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 1024
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 0.0
    epochs: Count = 10
    patience: CountOrNone = 5
    precision: Literal["32-true", "bf16-mixed"] = "32-true"

    @property
    def modules(self) -> Mim:
        """Which interest modules there are; without MIM, the base model's alone."""
        if isinstance(self.mim, Mim):
            return self.mim
        return Mim(content=self.mim, fusion=self.mim)

    @property
    def uses_content(self) -> bool:
        """Whether batches must have content."""
        return self.modules.content or self.modules.fusion


def load_ctr_recipe(name: Path | str) -> CtrRecipe:
    """Reads and checks a shipped recipe or a file.

    Raises:
        SettingsError: naming the file and what is wrong.
    """
    path = name if isinstance(name, Path) else shipped_or_own(name, FOLDER, "recipe")
    return read_yaml(path, CtrRecipe, "recipe", _contradiction)


def encode_ctr_recipe(recipe: CtrRecipe) -> bytes:
    """YAML that `load_ctr_recipe` reads back."""
    return msgspec.yaml.encode(recipe)


def _contradiction(recipe: CtrRecipe) -> str:
    """What no single field's range can say; "" if all is well."""
    plain = CtrRecipe(name=recipe.name, model=recipe.model)
    for name, models in _CHOICES.items():
        if recipe.model not in models and getattr(recipe, name) != getattr(plain, name):
            return f"{recipe.model} has no {name}, which is a setting of {' and '.join(models)}: leave it out"
    modules = recipe.modules
    if not (modules.id or modules.content or modules.fusion):
        return "one of mim's modules id, content and fusion must be on"
    if recipe.model == "sim" and recipe.search == "soft" and recipe.auxiliary_weight == 0:
        return "SIM's soft search learns from its auxiliary loss alone: give auxiliary_weight, or say search: hard"
    if recipe.search == "hard" and recipe.auxiliary_weight > 0:
        return "SIM's hard search learns nothing, so it has no auxiliary loss: leave auxiliary_weight out"
    if recipe.batch_norm and recipe.batch_size < 8:
        return "batch normalisation needs a batch_size of at least 8"
    return ""
