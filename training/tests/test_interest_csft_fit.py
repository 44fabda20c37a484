"""Pre-training and C-SFT as a user runs them: they learn what drives the log, stop and go on with the same numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from content_log import RECIPE, items_table, recipe_of, write_content_log
from lightning.pytorch import Trainer
from next_item import next_item

from rapport_edge.cli import RapportGroup
from rapport_edge.errors import SettingsError
from rapport_training.errors import Interrupted
from rapport_training.interest.commands import interest
from rapport_training.interest.content.csft.bounds import Bounds
from rapport_training.interest.content.csft.fit import fit_csft
from rapport_training.interest.content.item_encoder import load_item_encoder
from rapport_training.interest.content.pretraining.fit import fit_pretraining
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.embed import contents_of

STYLES = 4


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> BehaviourLog:
    return write_content_log(tmp_path_factory.mktemp("logs") / "styles", items=64, users=16, events=24)


@pytest.fixture(scope="module")
def pretrained(log: BehaviourLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "pretrained"
    fit_pretraining(recipe_of(), log, run)
    return run


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_pretraining_gives_both_modalities_aligned(pretrained: Path, log: BehaviourLog) -> None:
    encoder = load_item_encoder(pretrained)
    assert (encoder.vector, encoder.dimension) == ("aligned", 32)
    assert encoder.embed(*contents_of(log.items())).shape == (64, 32)
    rows = (pretrained / "history.csv").read_text().splitlines()
    assert {"train/masked_image", "train/masked_language", "train/contrastive"} <= set(rows[0].split(","))


def test_what_users_like_comes_together(log: BehaviourLog, pretrained: Path, tmp_path: Path) -> None:
    recipe = recipe_of(csft={"epochs": 4, "optimisation": {"batch_size": 32, "learning_rate": 3e-3}})
    fit_csft(recipe, log, tmp_path / "run", start=pretrained)
    encoder = load_item_encoder(tmp_path / "run")
    assert (encoder.vector, encoder.dimension) == ("fused", 16)
    vectors = encoder.embed(*contents_of(items_table(200).slice(64, 120)))  # items that no user met
    style = np.arange(120) % STYLES
    cosine = vectors @ vectors.T
    same = (style[:, None] == style[None]) & ~np.eye(120, dtype=bool)
    assert cosine[same].mean() > cosine[style[:, None] != style[None]].mean() + 0.5
    query = np.arange(0, 100)
    found = next_item(vectors, query, query + STYLES)  # an item of the same style
    assert found.mean_percentile < 0.25  # 0.5 by chance


@pytest.mark.parametrize("stage", ["pretraining", "csft"])
def test_an_interrupted_run_ends_with_the_same_numbers(stage: str, log: BehaviourLog, tmp_path: Path) -> None:
    recipe = recipe_of(pretraining={"dma_epochs": 2})
    fit = fit_pretraining if stage == "pretraining" else fit_csft
    fit(recipe, log, tmp_path / "whole")
    original = Trainer.save_checkpoint

    def only_first(trainer: Trainer, path: object, *args: object, **options: object) -> None:
        original(trainer, path, *args, **options)  # type: ignore[arg-type]
        if trainer.current_epoch == 0:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "save_checkpoint", only_first)
        with pytest.raises(Interrupted, match="goes on from"):
            fit(recipe, log, tmp_path / "parts")
    assert not (tmp_path / "parts" / "finished").exists()
    fit(recipe, log, tmp_path / "parts")
    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=0, atol=0, msg=name)
    if stage == "csft":
        assert "queue.vectors" in whole


@pytest.mark.parametrize(
    "csft",
    [
        {"loss": "cross-entropy", "signal": "click"},
        {"loss": "cross-entropy", "signal": "category"},
        {"fusion": "concatenation", "negatives": "batch", "alpha": 0.0, "beta": 0.0},
    ],
    ids=str,
)
def test_every_row_of_tables_4_and_5_trains_from_the_same_towers(
    csft: dict[str, object], log: BehaviourLog, pretrained: Path, tmp_path: Path
) -> None:
    fit_csft(recipe_of(csft={"epochs": 1, **csft}), log, tmp_path / "run", start=pretrained)
    assert np.isfinite(load_item_encoder(tmp_path / "run").embed(*contents_of(log.items()))).all()


def test_other_towers_than_those_of_the_start_are_refused(log: BehaviourLog, pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has another width than recipe test"):
        fit_csft(recipe_of(width=8), log, tmp_path / "run", start=pretrained)


def test_a_run_with_another_end_of_training_is_not_continued(log: BehaviourLog, tmp_path: Path) -> None:
    recipe = recipe_of(csft={"epochs": 1})
    fit_csft(recipe, log, tmp_path / "run", bounds=Bounds(until=300))
    with pytest.raises(SettingsError, match="a run with another until"):
        fit_csft(recipe, log, tmp_path / "run", bounds=Bounds(until=200))


def test_the_commands(log: BehaviourLog, tmp_path: Path) -> None:
    shutil.copytree(log.path, tmp_path / "log")
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    cli = RapportGroup(commands={"interest": interest})
    common = ["--log", str(tmp_path / "log"), "--recipe", str(tmp_path / "tiny.yaml")]
    plain = CliRunner().invoke(cli, ["interest", "pretrain", *common, "--run", str(tmp_path / "plain"), "--plain"])
    assert plain.exit_code == 0, plain.output
    start = ["--start", str(tmp_path / "plain"), "--leave-last", "1"]
    tuned = CliRunner().invoke(cli, ["interest", "csft", *common, "--run", str(tmp_path / "tuned"), *start])
    assert tuned.exit_code == 0, tuned.output
    assert load_item_encoder(tmp_path / "tuned").vector == "fused"
    other = ["interest", "csft", *common, "--run", str(tmp_path / "x")]
    missing = CliRunner().invoke(cli, [*other, "--start", "nowhere", "--all-events"])
    assert missing.exit_code == 2
    assert "nowhere" in missing.output
    for teaching in ([], ["--until", "5", "--all-events"]):
        unsaid = CliRunner().invoke(cli, [*other, *teaching])
        assert unsaid.exit_code == 2
        assert "say which events teach" in unsaid.output
