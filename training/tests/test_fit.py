"""A run on real faces: it resumes to the same numbers, and what it exports is what the robot runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from rapport_edge.bundle import load_bundle
from rapport_edge.encoding import create_encoder
from rapport_edge.engines import EngineSettings
from rapport_edge.errors import SettingsError
from rapport_training.cli import main
from rapport_training.demographic.export import load_model
from rapport_training.demographic.faces import is_held_out, load, prepare
from rapport_training.demographic.fit import fit
from rapport_training.demographic.onnx_export import ExportedEncoder
from rapport_training.demographic.recipe import load_recipe


class Interrupted(Exception):
    """Stands for a power cut in the middle of a run."""


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["state_dict"]


def test_an_interrupted_run_resumes_to_the_same_numbers(
    few_faces: Path, tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = prepare([few_faces], tmp_path / "faces", 128, 1)
    recipe = load_recipe(tiny_recipe)
    straight = fit(recipe, tiny_recipe, faces, tmp_path / "straight", resume=False, devices=1)

    from rapport_training.demographic.dataset import FaceCrops

    original = FaceCrops.__getitems__

    def failing(self: FaceCrops, indices: list[int]) -> object:
        if self.seed is not None and self.epoch == 1:
            raise Interrupted
        return original(self, indices)

    with monkeypatch.context() as patch:
        patch.setattr(FaceCrops, "__getitems__", failing)
        with pytest.raises(Interrupted):
            fit(recipe, tiny_recipe, faces, tmp_path / "cut", resume=True, devices=1)
    resumed = fit(recipe, tiny_recipe, faces, tmp_path / "cut", resume=True, devices=1)
    expected = weights_of(straight)
    for name, value in weights_of(resumed).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)


def test_fit_and_export_give_a_bundle_that_the_robot_runs(few_faces: Path, tiny_recipe: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "bundle"
    options = ["--faces", str(few_faces), "--run", str(run)]
    runner = CliRunner()
    done = runner.invoke(main, ["demographic", "fit", *options, "--recipe", str(tiny_recipe)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    export = ["demographic", "export", *options, "--out", str(out), "--evaluate", str(few_faces)]
    done = runner.invoke(main, export, catch_exceptions=False)
    assert done.exit_code == 0, done.output

    bundle = load_bundle(out)
    assert {head.name for head in bundle.heads} == {"age", "gender"}
    assert any(metric.name == "gender_accuracy" and metric.group == "" for metric in bundle.manifest.metrics)
    assert "race: Black" in (out / "MODEL_CARD.md").read_text()
    recipe = load_recipe(run / "recipe.yaml")
    faces = load(run / "faces")
    crops = np.ascontiguousarray(faces.images[:8, :48, :48])
    encoder = ExportedEncoder(load_model(recipe, run / "checkpoints" / "last.ckpt").visual).eval()
    with torch.no_grad():
        expected = encoder(torch.from_numpy(crops)).numpy()
    found = create_encoder(bundle, EngineSettings(name="onnxruntime-cpu")).encode(crops)
    np.testing.assert_allclose(found.embeddings, expected, atol=2e-3)  # weights are stored rounded to fp16


def test_preparing_twice_reads_the_kept_arrays(few_faces: Path, tmp_path: Path) -> None:
    first = prepare([few_faces], tmp_path / "faces", 128, 1)
    stamp = (tmp_path / "faces" / "images.npy").stat().st_mtime_ns
    second = prepare([few_faces], tmp_path / "faces", 128, 1)
    assert (tmp_path / "faces" / "images.npy").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    assert np.isfinite(first.landmarks).all(axis=(1, 2)).mean() > 0.97


def test_equal_pictures_are_held_out_together() -> None:
    content = np.array(["00000000" + "a" * 56, "f" * 64, "00000000" + "a" * 56])
    assert is_held_out(content, 0.05).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("change", "word"),
    [("epochs: 2", "epochs"), ("batch_size: 32", "batch_size"), ("name: test-model", "name")],
)
def test_a_wrong_recipe_is_refused_by_field(tiny_recipe: Path, change: str, word: str) -> None:
    tiny_recipe.write_text(tiny_recipe.read_text().replace(change, f"{word}: []"))
    with pytest.raises(SettingsError, match=word):
        load_recipe(tiny_recipe)


def test_an_unknown_recipe_and_a_missing_file_exit_with_status_2(few_faces: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    options = ["demographic", "fit", "--run", str(tmp_path / "run")]
    unknown = runner.invoke(main, [*options, "--faces", str(few_faces), "--recipe", "nope"])
    assert unknown.exit_code == 2
    assert "demographic-tiny" in unknown.output
    missing = runner.invoke(main, [*options, "--faces", str(tmp_path / "none.parquet")])
    assert missing.exit_code == 2
    assert "none.parquet" in missing.output
