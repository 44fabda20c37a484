"""The run folder of a click-through-rate model; see `run_folder` for its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import Field
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.recipe import CtrRecipe, encode_ctr_recipe, load_ctr_recipe
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.run_folder import BEST, LAST, Provenance, begin, provenance, read_record

_PREFIX = "model."


class CtrRecord(Provenance, frozen=True, kw_only=True):
    """What a run was trained on.

    Attributes:
        data, digest, protocol: of the prepared samples: name, digest, and the line that goes with every figure.
        encoder: digest of what made the content; "" for a model without.
        content_dim: D; None for a model without content.
        item_fields, user_fields: (name, vocabulary, columns).
        items, users: rows of their tables.
    """

    data: str
    digest: str
    protocol: str
    encoder: str = ""
    content_dim: int | None = None
    item_fields: list[tuple[str, int, int]]
    user_fields: list[tuple[str, int, int]]
    items: int
    users: int


def begin_ctr(run: Path, recipe: CtrRecipe, prepared: PreparedLog, content: ContentTable | None) -> None:
    """Writes recipe.yaml and run.json, or checks that the folder's are of the same run.

    Raises:
        SettingsError: if the folder holds another run, with what differs.
    """
    record = CtrRecord(
        data=prepared.name,
        digest=prepared.digest,
        protocol=prepared.protocol,
        encoder="" if content is None else content.encoder,
        content_dim=None if content is None else content.dimension,
        item_fields=[(f.name, f.vocabulary, f.columns) for f in prepared.item_fields],
        user_fields=[(f.name, f.vocabulary, f.columns) for f in prepared.user_fields],
        items=len(prepared.item_values),
        users=len(prepared.user_values),
        **provenance(),
    )
    begin(run, encode_ctr_recipe(recipe), record, ("digest", "encoder"))


def result_of(run: Path, recipe: CtrRecipe) -> Path:
    """The checkpoint that a run is for: of the highest validation AUC where it stops early, else the last."""
    return run / "checkpoints" / (BEST if recipe.patience else LAST)


def record_of(run: Path) -> CtrRecord:
    """What a run was trained on.

    Raises:
        SettingsError: if the folder holds no run.
    """
    return read_record(run, CtrRecord)


def load_ctr(run: Path) -> tuple[CtrModel, CtrRecipe]:
    """The trained model of a run folder, in evaluation mode, on the CPU.

    Raises:
        SettingsError: if there is no such run, or it has no checkpoint yet.
    """
    record, recipe = record_of(run), load_ctr_recipe(run / "recipe.yaml")
    checkpoint = result_of(run, recipe)
    if not checkpoint.is_file():
        raise SettingsError(f"{run} has no {checkpoint.name} yet; train with 'rapport-train interest fit'")
    fields = [[Field(*field) for field in side] for side in (record.item_fields, record.user_fields)]
    tables = [
        np.zeros((n, sum(f.columns for f in side)), np.int64)
        for n, side in zip((record.items, record.users), fields, strict=True)
    ]
    model = CtrModel(recipe, fields[0], tables[0], fields[1], tables[1], record.content_dim)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    model.load_state_dict({name.removeprefix(_PREFIX): v for name, v in state.items() if name.startswith(_PREFIX)})
    return model.eval(), recipe


def check_same_data(record: CtrRecord, prepared: PreparedLog, content: ContentTable | None) -> None:
    """An item's index means something in its own data only, and a vector in its own encoder's space only.

    Raises:
        SettingsError: if samples or content are not those of the training.
    """
    if prepared.digest != record.digest:
        raise SettingsError(f"the run was trained on {record.data} ({record.protocol}), not on {prepared.path}")
    if record.encoder and content is not None and content.encoder != record.encoder:
        raise SettingsError(
            f"the run was trained with content of encoder {record.encoder[:12]}, the centre holds that of "
            f"{content.encoder[:12]}"
        )
