"""`table`, `evaluate` and `query` on real faces with a tiny model: run, report, picture, and what is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from lightning.pytorch import Trainer

pytest.importorskip("torch", reason="the training package is not installed")

from tiny_evaluation import commands, random_weights, write_recipe, write_suite

from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.evaluation import suite_run
from rapport_training.demographic.evaluation.evaluate import Data, Evaluator, Plan, Subject
from rapport_training.demographic.evaluation.query import best_faces
from rapport_training.demographic.evaluation.report import Record
from rapport_training.demographic.evaluation.retrieval import Setting
from rapport_training.demographic.recipe import load_recipe
from rapport_training.demographic.run import encoder_from
from rapport_training.reporting.report_files import read_report

PNG = b"\x89PNG"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


@pytest.fixture
def gen_user(fair_user: Path, tmp_path: Path) -> Path:
    """A second data set with the same pictures and another name."""
    folder = tmp_path / "genuser"
    shutil.copytree(fair_user, folder)
    description = folder / "data_set.json"
    description.write_text(description.read_text().replace('"FairUser"', '"GenUser"', 1))
    return folder


@pytest.fixture
def encoder(tmp_path: Path):
    return encoder_from(load_recipe(write_recipe(tmp_path)), random_weights(tmp_path), "tiny")


def test_evaluate_measures_everything_and_writes_a_report(fair_user: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    model = ["--recipe", write_recipe(tmp_path), "--weights", random_weights(tmp_path)]
    done = run("evaluate", *model, "--data", fair_user, "--out", out, "--pool", "whole", "--pool", 8)
    assert done.exit_code == 0, done.output
    record = read_report(out, Record)
    (found,) = record.results
    assert len(found.retrieval) == 4
    assert found.zero_shot.overall.n == found.probe.overall.n == len(UserFaces.open(fair_user, "test"))
    assert found.summary.digests[2] == UserFaces.open(fair_user, "test").digest
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 9
    assert "Gaps between groups" in page or not found.zero_shot.gaps
    assert f"{found.retrieval[0].figures.accuracy:.3f}" in (out / "report.md").read_text()
    kept = sorted((out / "results").iterdir())
    assert run("evaluate", *model, "--data", fair_user, "--out", out, "--pool", "whole", "--pool", 8).exit_code == 0
    assert sorted((out / "results").iterdir()) == kept
    assert read_report(out, Record).results[0].seconds == found.seconds  # read back, not measured again


def test_table_trains_skips_what_is_finished_and_leaves_dashes(
    fair_user: Path, gen_user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    options = ["--suite", write_suite(tmp_path), "--data", f"fairuser={fair_user}", "--data", f"genuser={gen_user}"]
    options += ["--weights", f"start={random_weights(tmp_path)}", "--out", out, "--seeds", "0", "--probe-faces", 0]
    first = run("table", *options, "--only", "CLIP/out_of_the_box", "--only", "CLIP/fairuser", "--only", "FaRL")
    assert first.exit_code == 0, first.output
    assert (out / "runs" / "clip" / "fairuser" / "seed-0" / "finished").is_file()
    assert "no --weights other=..." in first.output
    assert "Reduced size" in first.output

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(suite_run, "fit", refuse)
    again = run("table", *options, "--no-train")
    assert again.exit_code == 0, again.output
    assert "CLIP/genuser/0, not trained" in again.output
    record = read_report(out / "report", Record)
    assert {(one.variant, one.data) for one in record.results} == {
        (variant, data) for variant in ("out_of_the_box", "fairuser") for data in ("fairuser", "genuser")
    }
    trained = next(one for one in record.results if one.variant == "fairuser")
    assert trained.model != record.results[0].model


def test_an_interrupted_training_stops_the_suite(
    fair_user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "save_checkpoint", interrupted)
    options = ["--suite", write_suite(tmp_path), "--data", f"fairuser={fair_user}", "--out", tmp_path / "out"]
    options += ["--weights", f"start={random_weights(tmp_path)}", "--only", "CLIP/fairuser/0"]
    done = run("table", *options)
    assert done.exit_code == 130
    assert "the same command goes on" in done.output


def test_a_run_of_another_recipe_is_not_taken_for_ours(fair_user: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--suite", write_suite(tmp_path), "--data", f"fairuser={fair_user}", "--out", out, "--probe-faces", 0]
    options += ["--weights", f"start={random_weights(tmp_path)}", "--only", "CLIP/fairuser/0"]
    assert run("table", *options).exit_code == 0
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("epochs: 1", "epochs: 2"))
    done = run("table", *options)
    assert done.exit_code == 2
    assert "another recipe" in done.output


def test_another_data_set_is_not_put_beside_the_papers_figures(fair_user: Path, tmp_path: Path) -> None:
    done = run("table", "--suite", write_suite(tmp_path), "--out", tmp_path / "out", "--data", f"genuser={fair_user}")
    assert done.exit_code == 2
    assert "this is FairUser, but the paper's row is GenUser" in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "faces=x"], "the suite tiny-suite knows fairuser, genuser"),
        (["--data", "fairuser"], "expected NAME=PATH"),
        (["--data", "fairuser=/nowhere"], "nowhere"),
        (["--data", "fairuser=x", "--seeds", "a"], "--seeds a"),
        (["--data", "fairuser=x", "--only", "BERT"], "CLIP/fairuser/0"),
        (["--data", "fairuser=x", "--pool", "1"], "--pool 1"),
        (["--data", "fairuser=x", "--weights", "clip=x"], "knows start, other"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    done = run("table", "--suite", write_suite(tmp_path), "--out", tmp_path / "out", *options)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_query_draws_the_best_faces_per_model(fair_user: Path, tmp_path: Path) -> None:
    out = tmp_path / "picture.png"
    models = [
        part
        for seed in (0, 1)
        for part in ("--recipe", write_recipe(tmp_path), "--weights", random_weights(tmp_path, seed))
    ]
    done = run("query", "an old man", *models, "--data", fair_user, "--top", 3, "--out", out)
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(PNG)
    assert done.output.count("row ") == 6
    assert run("query", "word " * 90, *models, "--data", fair_user, "--out", out).exit_code == 2
    assert run("query", "x", "--data", fair_user, "--out", out).exit_code == 2
    assert run("query", " ", *models, "--data", fair_user, "--out", out).exit_code == 2


def test_the_best_faces_are_those_of_highest_similarity(fair_user: Path, encoder) -> None:
    faces = UserFaces.open(fair_user, "test")
    hits = best_faces(encoder, "a young woman", faces, 4)
    scores = encoder.embed_faces(faces) @ encoder.embed_texts(["a young woman"])[0]
    assert [hit.score for hit in hits] == pytest.approx(sorted(scores.tolist(), reverse=True)[:4])
    assert hits[0].facts.split(", ")[0] == faces.gender[hits[0].row]


def test_kept_embeddings_serve_again_and_damaged_ones_are_computed(fair_user: Path, encoder, tmp_path: Path) -> None:
    data = Data.open("fairuser", fair_user)
    plan = Plan(settings=[Setting(pool=8, match="image")], attributes=False)
    subject = Subject("tiny", "out_of_the_box", None, encoder)
    first = Evaluator(plan, tmp_path / "kept").evaluate(subject, data)
    for path in (tmp_path / "kept" / "results").iterdir():
        path.write_bytes(b"{")
    (array,) = (tmp_path / "kept" / "embeddings").iterdir()
    array.write_bytes(array.read_bytes()[:50])
    second = Evaluator(plan, tmp_path / "kept").evaluate(subject, data)
    assert second.retrieval == first.retrieval
    assert np.load(array).shape == (len(data.splits[2]), 16)
    assert second.skipped == {"attributes": "not asked for"}
