"""From a recipe and prepared samples to a run folder, and back."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import get_args

import lightning.pytorch as pl
import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from click_log import prepared_clicks

from rapport_edge.errors import SettingsError
from rapport_training.cli import main
from rapport_training.errors import TrainingError
from rapport_training.interest.ctr.evaluation import evaluate_ctr
from rapport_training.interest.ctr.fit import fit_ctr
from rapport_training.interest.ctr.recipe import CtrRecipe, Model, load_ctr_recipe
from rapport_training.interest.ctr.run import load_ctr
from rapport_training.interest.data.content_table import InMemoryContent
from rapport_training.interest.data.prepared import PreparedLog

RECIPE = CtrRecipe(
    name="test", model="din", batch_size=128, learning_rate=0.02, epochs=4, patience=0, embedding_std=0.1, seed=5
)
#: Sparse tables have an optimizer of their own, and unknown ids draw random numbers of their own.
LAZY = msgspec.structs.replace(RECIPE, use_user_id=True, lazy_rows_above=30, unknown_share=0.05)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedLog:
    return prepared_clicks(tmp_path_factory.mktemp("clicks"))


def train(recipe: CtrRecipe, prepared: PreparedLog, run: Path, **options: object) -> dict[str, torch.Tensor]:
    checkpoint = fit_ctr(recipe, prepared, run, devices=1, progress=False, **options)  # type: ignore[arg-type]
    return torch.load(checkpoint, weights_only=True)["state_dict"]


def history(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "history.csv").open()))


class StopInEpoch(pl.Callback):
    """What a power cut does: nothing is tidied up."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.current_epoch == self.epoch:
            raise KeyError("power cut")


def test_a_model_learns_and_its_run_says_how_well(prepared: PreparedLog, tmp_path: Path) -> None:
    whole = msgspec.structs.replace(RECIPE, epochs=6)  # AUCs of five seeds: .65 to .94 after four, .995 to 1 after six
    train(whole, prepared, tmp_path)
    rows = history(tmp_path)
    assert {"val/auc", "val/gauc", "val/log_loss", "train/loss"} <= rows[0].keys()
    assert float(rows[-1]["val/auc"]) > 0.98
    model, recipe = load_ctr(tmp_path)
    scores, found = evaluate_ctr(model, prepared, "validation")
    assert recipe == whole
    assert len(scores) == found.n == 400
    assert found.auc == pytest.approx(float(rows[-1]["val/auc"]), abs=1e-6)
    assert found.gauc == pytest.approx(float(rows[-1]["val/gauc"]), abs=1e-6)
    assert (tmp_path / "finished").is_file()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("recipe", [RECIPE, LAZY], ids=["dense", "lazy"])
def test_a_run_that_was_cut_off_goes_on_to_the_same_numbers(
    recipe: CtrRecipe, prepared: PreparedLog, tmp_path: Path
) -> None:
    whole = train(recipe, prepared, tmp_path / "whole")
    with pytest.raises(KeyError):
        train(recipe, prepared, tmp_path / "cut", callbacks=[StopInEpoch(2)])
    assert not (tmp_path / "cut" / "finished").exists()
    resumed = train(recipe, prepared, tmp_path / "cut")
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    drop = {"seconds"}
    figures = [
        [{k: v for k, v in row.items() if k not in drop} for row in history(tmp_path / n)] for n in ("whole", "cut")
    ]
    assert figures[0] == figures[1]


def test_early_stopping_keeps_the_best_epoch(prepared: PreparedLog, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(RECIPE, patience=1, epochs=40, learning_rate=0.05)
    train(recipe, prepared, tmp_path)
    aucs = [float(row["val/auc"]) for row in history(tmp_path)]
    assert len(aucs) < 40
    model, _ = load_ctr(tmp_path)
    assert evaluate_ctr(model, prepared, "validation")[1].auc == pytest.approx(max(aucs), abs=1e-6)


def test_seeds_differ_and_repeat(prepared: PreparedLog, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(RECIPE, epochs=1)
    weights = [train(recipe, prepared, tmp_path / str(n), seed=seed) for n, seed in enumerate((1, 1, 2))]
    name = "model.deep.layers.0.weight"
    assert torch.equal(weights[0][name], weights[1][name])
    assert not torch.equal(weights[0][name], weights[2][name])


def test_another_run_in_the_folder_is_refused(prepared: PreparedLog, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(RECIPE, epochs=1)
    train(recipe, prepared, tmp_path)
    with pytest.raises(SettingsError, match="another recipe"):
        train(msgspec.structs.replace(recipe, model="average"), prepared, tmp_path)
    train(msgspec.structs.replace(recipe, model="average"), prepared, tmp_path, resume=False)
    assert load_ctr(tmp_path)[1].model == "average"


def test_content_that_is_no_number_is_refused_with_its_item(prepared: PreparedLog, tmp_path: Path) -> None:
    matrix = np.ones((len(prepared.item_values), 3), np.float32)
    matrix[10, 1] = np.nan
    recipe = msgspec.structs.replace(RECIPE, mim=True)
    with pytest.raises(SettingsError, match=f"item '{prepared.item_ids[10]}'.*is no number"):
        train(recipe, prepared, tmp_path, content=InMemoryContent(matrix))
    with pytest.raises(SettingsError, match="need content"):
        train(recipe, prepared, tmp_path / "none")


def test_a_loss_that_is_no_number_ends_the_training(prepared: PreparedLog, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(msgspec.structs.replace(RECIPE, learning_rate=1e30, batch_norm=False), prepared, tmp_path)
    assert not (tmp_path / "finished").exists()


def test_a_split_of_one_kind_of_label_is_refused_before_an_epoch(tmp_path: Path) -> None:
    prepared = prepared_clicks(tmp_path, rows=100)
    file = prepared.path / "samples" / "validation" / "label.npy"
    np.save(file, np.ones_like(np.load(file)))
    with pytest.raises(SettingsError, match=r"all 400 samples of .*, validation, are liked"):
        train(RECIPE, PreparedLog.open(prepared.path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_commands_say_protocol_and_leakage(prepared: PreparedLog, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("{name: cli, model: average, batch_size: 256, epochs: 1, patience: 0}")
    files = ["--data", str(prepared.path), "--run", str(tmp_path / "run")]
    done = CliRunner().invoke(main, ["interest", "fit", "--recipe", str(recipe), "--devices", "1", *files])
    assert done.exit_code == 0, done.output
    said = CliRunner().invoke(main, ["interest", "evaluate", *files])
    assert said.exit_code == 0, said.output
    for part in ("AUC 0.", "GAUC", "log loss", prepared.protocol, "leakage check: labels shuffled"):
        assert part in said.output
    assert "of the test in training" in said.output
    watched = CliRunner().invoke(main, ["interest", "evaluate", "--split", "validation", *files])
    assert "of the validation in training" in watched.output
    unread = CliRunner().invoke(main, ["interest", "fit", "--recipe", str(recipe), "--centre", "somewhere", *files])
    assert unread.exit_code == 2
    assert "recipe cli has none of MIM's modules" in unread.output
    asked = CliRunner().invoke(main, ["interest", "fit", "--recipe", "fuxictr-dyn", *files])
    assert asked.exit_code == 2
    assert "fuxictr-din" in asked.output


def test_shipped_recipes_say_what_the_paper_sets() -> None:
    for model in get_args(Model):
        paper, tuned = (load_ctr_recipe(f"{kind}-{model}") for kind in ("paper", "tuned"))
        assert paper.model == tuned.model == model
        assert (paper.learning_rate, paper.batch_size) == (0.005, 1024)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{name: x, model: sim}", "auxiliary loss"),
        ("{name: x, model: din, mim: {id: false, content: false, fusion: false}}", "must be on"),
        ("{name: x, model: din, batch_size: 4}", "at least 8"),
        ("{name: x, model: din, embeding_dim: 4}", "embeding_dim"),
        ("{name: x, model: twin, auxiliary_weight: 1}", "twin has no auxiliary_weight, .* setting of dien and sim"),
        ("{name: x, model: sim, search: hard, auxiliary_weight: 1}", "hard search learns nothing"),
        ("{name: x, model: twin, search: hard}", "twin has no search"),
        ("{name: x, model: din, position: age}", "din has no position, .* bst and sim and twin"),
        ("{name: x, model: dien, pooling: mean}", "dien has no pooling"),
        ("{name: x, model: din, attention_hidden: []}", "length >= 1 - at `\\$.attention_hidden"),
        ("name: x\nmodel: din\nseed: 1\nhidden: [8]\nseed: 2", "seed is there twice, in line 3 and in line 5"),
        ("{name: x, model: din, mim: {id: true, fusion: true, id: false}}", "id is there twice"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        load_ctr_recipe(path)
