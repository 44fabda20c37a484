"""A run folder of a content encoder: what went in, what came out, and how to read it back.

The files of every run (`run_folder`), and
language/      the language model's configuration and tokenizer
images.*       the image tokenizer that masked image modelling used, where it was trained on this catalogue
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import torch

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.language import LanguageTower, save_language, saved_language_tower
from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.recipe import ContentRecipe, load_content_recipe
from rapport_training.interest.content.vision import VisionTower
from rapport_training.run_folder import BEST, LAST, PACKAGES, Provenance, begin, provenance, read_record

LANGUAGE: Final = "language"
_MUST_MATCH: Final = ("stage", "log", "start", "image_tokenizer", "until", "leave_last", "samples")
#: Of the network's tensors in Lightning's checkpoint.
PREFIX: Final = "network."

#: What an item's vector is made of: both towers' features as they are, h^img and h^txt, or h^MM.
Vector = Literal["features", "aligned", "fused"]


class ContentRecord(Provenance, frozen=True, kw_only=True):
    """Everything needed to repeat a run, beside its recipe.

    Attributes:
        stage: "pretraining" or "csft".
        vector: what the run's encoder gives.
        log: digest of the behaviour log; log_name for people.
        start: digest of the encoder that training started from; "" for none.
        image_tokenizer: digest of the file whose tokens were predicted; "" for none.
        until: no event after this time taught; None for no limit.
        leave_last: how many of each user's last positive events, and all after them, did not teach.
        samples: digest of the leave-last-out samples whose held-out events, and all after them, did not teach.
        counts: of items and pairs used and left out, by reason.
    """

    stage: Literal["pretraining", "csft"]
    vector: Vector
    log: str
    log_name: str
    start: str = ""
    image_tokenizer: str = ""
    until: int | None = None
    leave_last: int = 0
    samples: str = ""
    counts: dict[str, int] = msgspec.field(default_factory=dict)


def new_record(**fields: Any) -> ContentRecord:
    """A record of the process that is running."""
    return ContentRecord(**provenance((*PACKAGES, "timm", "transformers")), **fields)


def begin_run(run: Path, recipe: ContentRecipe, record: ContentRecord, language: LanguageTower) -> None:
    """Writes recipe.yaml, run.json and language/, or checks that the folder's are of the same run.

    Raises:
        SettingsError: if the folder holds another run, with what differs.
    """
    begin(run, msgspec.yaml.encode(recipe), record, _MUST_MATCH)
    save_language(language, run / LANGUAGE)


def checkpoint_of(run: Path, recipe: ContentRecipe, record: ContentRecord) -> Path:
    """The checkpoint that a run is for."""
    stops_early = record.stage == "csft" and recipe.csft.patience
    return run / "checkpoints" / (BEST if stops_early else LAST)


def load_network(run: Path) -> tuple[ContentNetwork, ContentRecipe, ContentRecord]:
    """The trained network of a run folder, in evaluation mode on the CPU.

    Raises:
        SettingsError: if there is no such run, it has no checkpoint yet, or the checkpoint does not fit.
    """
    record = read_record(run, ContentRecord)
    recipe = load_content_recipe(run / "recipe.yaml")
    network = untrained_network(recipe, saved_language_tower(recipe.language, run / LANGUAGE))
    load_weights(network, checkpoint_of(run, recipe, record))
    return network.eval(), recipe, record


def untrained_network(recipe: ContentRecipe, language: LanguageTower) -> ContentNetwork:
    """The network of a recipe, for a checkpoint to fill."""
    return ContentNetwork(recipe, VisionTower(recipe.vision, pretrained=False), language)


def load_weights(network: ContentNetwork, checkpoint: Path, *, but: tuple[str, ...] = ()) -> None:
    """Fills a network from a run's checkpoint.

    Args:
        network: of the same towers.
        checkpoint: Lightning's.
        but: prefixes of what keeps the weights that it has.

    Raises:
        SettingsError: if the file is absent, damaged, or of other towers.
    """
    if not checkpoint.is_file():
        raise SettingsError(f"there is no {checkpoint}: the run has not finished an epoch yet")
    try:
        tensors = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        own = {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
        # What is kept may have other names and shapes there.
        taken = {key: value for key, value in own.items() if not key.startswith(but)}
        kept = {key: value for key, value in network.state_dict().items() if key.startswith(but)}
        network.load_state_dict(taken | kept)
    except (RuntimeError, OSError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SettingsError(f"{checkpoint} does not hold these towers: {reason}") from error
