"""A run on real faces: it survives what happens to runs, and resumes to the same numbers."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner

from rapport_edge.errors import SettingsError
from rapport_training.cli import main
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.fit import Inputs, fit
from rapport_training.demographic.recipe import encode_recipe, load_recipe
from rapport_training.demographic.run import load_run, seen_in_training
from rapport_training.errors import TrainingError
from rapport_training.masked_image.tokenizers.autoencoder import AutoencoderConfig, DiscreteAutoencoder
from rapport_training.masked_image.tokenizers.loading import save_autoencoder

#: Several trainings a test, some in processes that import everything anew: 104 s were measured on a busy machine.
pytestmark = pytest.mark.timeout(400)

RECIPE = """
name: test-transformer
seed: 3
model:
  embed_dim: 16
  quick_gelu: true
  vision_cfg: {image_size: 32, patch_size: 8, width: 32, head_width: 16, layers: 1}
  text_cfg: {context_length: 32, vocab_size: 49408, width: 16, heads: 2, layers: 1}
masked_image: {weight: 1.0}
views: {caption: 1.0, gender: 1.0}
stages: [{from_epoch: 0, size: 32}]
epochs: 3
batch_size: 32
warmup_steps: 2
ema_decay: 0.0
"""


@pytest.fixture(scope="module")
def image_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A discrete autoencoder with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.safetensors"
    save_autoencoder(DiscreteAutoencoder(AutoencoderConfig(vocabulary=16, factor=8, width=8, code_width=2)), path)
    return path


def recipe_file(folder: Path, **changes: Any) -> Path:
    settings = {**yaml.safe_load(RECIPE), **changes}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in settings.items() if value is not None}))
    return path


def command(recipe: Path, data: Path, run: Path, *options: str) -> list[str]:
    fit_options = ["--recipe", str(recipe), "--data", str(data), "--run", str(run), "--devices", "1", *options]
    return [str(Path(sys.executable).with_name("rapport-train")), "demographic", "fit", *fit_options]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["state_dict"]


#: `rapport-train`, which is killed within its second epoch, however fast it is.
KILLED = """
import os, signal, sys
from rapport_training.cli import main
from rapport_training.demographic.module import ContrastiveModule

step = ContrastiveModule.training_step

def killed_step(module, batch, number):
    if (module.current_epoch, number) == (1, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(module, batch, number)

ContrastiveModule.training_step = killed_step
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_killed_run_resumes_to_the_same_numbers(
    fair_user: Path, image_tokenizer: Path, tmp_path: Path, workers: int
) -> None:
    path = recipe_file(tmp_path, epochs=4, workers=workers)
    recipe, inputs = load_recipe(path), Inputs(fair_user, image_tokenizer=image_tokenizer)
    options = ["--image-tokenizer", str(image_tokenizer)]
    cut = tmp_path / "cut"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = [sys.executable, "-c", KILLED, *command(path, fair_user, cut, *options)[1:]]
    assert subprocess.run(killed, env=environment, check=False).returncode == -signal.SIGKILL
    assert (cut / "checkpoints" / "last.ckpt").exists()
    resumed = fit(recipe, inputs, cut, devices=1)
    straight = fit(recipe, inputs, tmp_path / "straight", devices=1)
    expected = weights_of(straight)
    assert any(name.startswith("masked_image.") for name in expected)
    for name, value in weights_of(resumed).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)
    rows = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("cut", "straight")]
    assert len(rows[0]) == len(rows[1]) == 5
    assert (cut / "curves.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["1", "2"])
def test_ctrl_c_stops_with_a_sentence_and_keeps_the_last_epoch(
    fair_user: Path, image_tokenizer: Path, tmp_path: Path, devices: str
) -> None:
    run = tmp_path / "run"
    options = ["--image-tokenizer", str(image_tokenizer), "--devices", devices]
    full = command(recipe_file(tmp_path, epochs=5000), fair_user, run, *options)
    with subprocess.Popen(full, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_for(run / "checkpoints" / "last.ckpt", process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes are told
        errors = process.communicate()[1]
    assert process.returncode == 130, errors
    assert errors.count("stopping before the next step") == 1
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert load_run(run).model is not None


@pytest.mark.slow
def test_a_full_disk_says_so_and_keeps_what_was_there(fair_user: Path, image_tokenizer: Path, tmp_path: Path) -> None:
    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    run = tmp_path / "run"
    full = command(recipe_file(tmp_path), fair_user, run, "--image-tokenizer", str(image_tokenizer))
    done = subprocess.run(full, capture_output=True, text=True, preexec_fn=small_files_only, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot write into" in done.stderr.splitlines()[-1]
    assert not list((run / "checkpoints").glob("*.ckpt"))


def test_mixed_precision_clips_gradients(fair_user: Path, tmp_path: Path) -> None:
    changes = {"masked_image": None, "epochs": 1, "precision": "bf16-mixed", "gradient_clip": 1.0}
    checkpoint = fit(load_recipe(recipe_file(tmp_path, **changes)), Inputs(fair_user), tmp_path / "run", devices=1)
    assert all(value.isfinite().all() for value in weights_of(checkpoint).values())


@pytest.mark.slow
def test_two_processes_model_masked_images(fair_user: Path, image_tokenizer: Path, tmp_path: Path) -> None:
    options = ["--image-tokenizer", str(image_tokenizer), "--devices", "2"]
    full = command(recipe_file(tmp_path, epochs=1), fair_user, tmp_path / "run", *options)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(full, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names, figures = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert float(dict(zip(names.split(","), figures.split(","), strict=True))["train/masked_image"]) > 0


def test_it_stops_three_evaluations_after_the_best_and_keeps_the_best(fair_user: Path, tmp_path: Path) -> None:
    changes = {"masked_image": None, "learning_rate": 0.3, "warmup_steps": 0, "epochs": 30, "patience": 3}
    recipe = load_recipe(recipe_file(tmp_path, **changes))
    best = fit(recipe, Inputs(fair_user), tmp_path / "run", devices=1)
    lines = (tmp_path / "run" / "history.csv").read_text().splitlines()
    names = lines[0].split(",")
    losses = [float(line.split(",")[names.index("val/loss")]) for line in lines[1:]]
    assert len(losses) == losses.index(min(losses)) + 4
    assert best.name == "best.ckpt"
    assert torch.load(best, weights_only=True)["epoch"] == losses.index(min(losses))
    stamp = best.stat().st_mtime_ns
    assert fit(recipe, Inputs(fair_user), tmp_path / "run", devices=1) == best
    assert best.stat().st_mtime_ns == stamp, "a run that has ended is not touched"


def test_a_loss_that_is_no_number_stops_the_run(fair_user: Path, tmp_path: Path) -> None:
    changes = {"masked_image": None, "learning_rate": 1e38, "warmup_steps": 0, "gradient_clip": 0}
    recipe = load_recipe(recipe_file(tmp_path, **changes))
    with pytest.raises(TrainingError, match=r"the loss is .* at step"):
        fit(recipe, Inputs(fair_user), tmp_path / "run", devices=1)
    assert not (tmp_path / "run" / "finished").exists()


def test_a_folder_with_another_run_is_refused(fair_user: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(tmp_path, masked_image=None, epochs=1))
    fit(recipe, Inputs(fair_user), tmp_path / "run", devices=1)
    with pytest.raises(SettingsError, match="another recipe"):
        fit(recipe, Inputs(fair_user), tmp_path / "run", seed=4, devices=1)


@pytest.mark.parametrize(
    ("changes", "options", "word"),
    [
        ({"weights": "some model"}, [], "--weights"),
        ({}, [], "--image-tokenizer"),
        ({"masked_image": None, "batch_size": 5000}, [], "batch"),
        ({"masked_image": None, "epochs": []}, [], "epochs"),
        ({"masked_image": None, "model": "ViT-B-17"}, [], "ViT-B-1"),
        ({"masked_image": None, "views": {"hair": 1.0}}, [], "hair"),
        ({"masked_image": None, "precision": "64-true"}, [], "precision"),
        ({"masked_image": None, "patience": 3, "validate_every": 4}, [], "patience"),
        ({"masked_image": None, "stages": [{"from_epoch": 0, "size": 64}]}, [], "crops of 64 pixels"),
        ({"masked_image": None, "batch_size": 33}, ["--devices", "2"], "33 evenly"),
        ({"masked_image": None, "epochs": 1}, ["--run", "/dev/null/run"], "run folder"),
    ],
)
def test_what_does_not_fit_is_refused_with_status_2(
    changes: dict[str, Any], options: list[str], word: str, fair_user: Path, tmp_path: Path
) -> None:
    arguments = command(recipe_file(tmp_path, **changes), fair_user, tmp_path / "run", *options)[1:]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2, done.output
    assert word in done.output


def test_a_run_knows_what_it_was_trained_on(fair_user: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(load_recipe(recipe_file(tmp_path, masked_image=None, epochs=1)), Inputs(fair_user), run, devices=1)
    train, test = UserFaces.open(fair_user, "train"), UserFaces.open(fair_user, "test")
    assert seen_in_training(run, train.content[:7]) == 7
    assert seen_in_training(run, test.content) == 0


def test_a_damaged_checkpoint_is_named(fair_user: Path, tmp_path: Path) -> None:
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    recipe = load_recipe(recipe_file(tmp_path, masked_image=None, epochs=1))
    fit(recipe, Inputs(fair_user), tmp_path / "run", devices=1)
    (tmp_path / "run" / "finished").unlink()
    last.write_bytes(last.read_bytes()[:20_000])
    with pytest.raises(TrainingError, match=r"last\.ckpt is damaged"):
        fit(recipe, Inputs(fair_user), tmp_path / "run", devices=1)


def test_a_recipe_survives_its_run_folder(tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(tmp_path))
    (tmp_path / "again.yaml").write_bytes(encode_recipe(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe
