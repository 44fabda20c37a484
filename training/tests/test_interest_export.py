"""From a click model to a ranker on a robot: the same scores, for all models, also for what training did not have."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from click.testing import CliRunner
from ranker_data import DIM, ENCODER, random_model, small_data

from rapport_edge.bundle import load_bundle
from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.errors import RapportError, SettingsError
from rapport_edge.ranking import Event, Item, create_ranker
from rapport_edge.representation import CentreFormat, EmbeddedCentre
from rapport_training.cli import main
from rapport_training.interest.batch import Field
from rapport_training.interest.ctr.evaluation import evaluate_ctr
from rapport_training.interest.ctr.fit import fit_ctr
from rapport_training.interest.ctr.metrics import CtrMetrics
from rapport_training.interest.ctr.normalisation import Dice
from rapport_training.interest.ctr.positions import Padded
from rapport_training.interest.ctr.recipe import CtrRecipe, Mim
from rapport_training.interest.ctr.run import load_ctr
from rapport_training.interest.data.content_table import InMemoryContent
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import write_log
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.export.bundle_files import content_arrays
from rapport_training.interest.export.card import CardFacts
from rapport_training.interest.export.cases import Case, random_cases, scores_of
from rapport_training.interest.export.facts import licence_of
from rapport_training.interest.export.folding import FoldedActivationUnit, FoldedDice, folded
from rapport_training.interest.export.names import named
from rapport_training.interest.export.parity import PARITY, Translator, check_parity
from rapport_training.interest.export.ranker import ExportedRanker, assemble_ranker, write_ranker
from rapport_training.interest.export.vocabulary import KeptIds

FACTS = CardFacts("small-ranker", "1.2.3", "CC0-1.0", CtrMetrics(0.71, float("nan"), 0.6, 80), "Leakage check: none")
MODELS = {name: {"mim": True} for name in ("dien", "bst", "sim", "twin")}  # and DIN in other tests
MODELS["average"] = {"mim": True, "content_pooling": "mean"}
MODELS["bst by mean"] = {"mim": True, "pooling": "mean"}
MODELS["bst without itself"] = {"mim": Mim(id=False), "position": "age"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def din(data):
    """DIN with MIM's modules and the user's id, exported."""
    log, prepared, content = data
    model = random_model(prepared, model="din", mim=True, use_user_id=True)
    return model, assemble_ranker(model, prepared, content, log)


def write(exported: ExportedRanker, model, prepared: PreparedLog, folder: Path):
    return create_ranker(load_bundle(write_ranker(exported, model, prepared, FACTS, folder).path))


@pytest.mark.parametrize("model_name", MODELS)
def test_every_model_scores_on_a_robot_as_in_training(data, tmp_path, model_name):
    log, prepared, content = data
    model = random_model(prepared, model=model_name.split()[0], **MODELS[model_name])
    exported = assemble_ranker(model, prepared, content, log)
    assert exported.parity <= PARITY
    ranker = write(exported, model, prepared, tmp_path / "bundle")
    check_same_scores(ranker, model, prepared, content)


@pytest.mark.parametrize("settings", [{"search": "hard"}, {"position": "age", "short_length": 4}])
def test_sim_exports_with_its_options_and_without_content(data, tmp_path, settings):
    log, prepared, content = data
    model = random_model(prepared, model="sim", **settings)
    exported = assemble_ranker(model, prepared, content, log)
    check_same_scores(write(exported, model, prepared, tmp_path / "bundle"), model, prepared, None)


def check_same_scores(ranker, model, prepared, content):
    """Ids, fields and times in; training's indexes, values and ages on the other side."""
    rng = np.random.default_rng(9)
    now = 1_700_000_000.0
    for length in (0, 1, 5, 12):
        history = rng.integers(2, len(prepared.item_ids), length)
        times = now - 86400.0 * np.sort(rng.choice(100, length, replace=False))[::-1]
        items = rng.permutation(np.arange(2, len(prepared.item_ids)))[:20]
        events = [Event(id=prepared.item_ids[i], time=float(t)) for i, t in zip(history, times, strict=True)]
        ranked = ranker.rank(
            events, [Item(id=prepared.item_ids[i]) for i in items], user={"user": ("user3",), "group": ("y",)}, now=now
        )
        vectors = [None, None] if content is None else [as_stored(content.rows(part)) for part in (items, history)]
        ages = ((now - times) / 86400.0).astype(np.float32)
        case = Case(prepared.user_ids.index("user3"), items, history, ages, *vectors)
        expected = dict(zip([prepared.item_ids[i] for i in items], scores_of(model, case), strict=True))
        found = {item.id: item.score for item in ranked}
        assert found == pytest.approx({name: float(score) for name, score in expected.items()}, abs=PARITY)
        assert np.ptp(list(found.values())) > 0.01


def as_stored(vectors):
    return vectors.astype(np.float16).astype(np.float32)


def test_the_user_and_the_age_reach_the_graph(data, din, tmp_path):
    _, prepared, content = data
    model, exported = din
    ranker = write(exported, model, prepared, tmp_path / "bundle")
    check_same_scores(ranker, model, prepared, content)
    asked = [Item(id="item5")]
    stranger = ranker.rank([], asked)[0].score
    assert stranger == ranker.rank([], asked, user={"user": ("somebody",)})[0].score
    assert stranger != ranker.rank([], asked, user={"user": ("user3",)})[0].score


def test_a_new_item_is_ranked_by_its_content_and_fields(data, din, tmp_path):
    _, prepared, content = data
    model, exported = din
    ranker = write(exported, model, prepared, tmp_path / "bundle")
    vectors = as_stored(content.rows(np.array([7, 8, 9])))
    unknown = [Item(id=f"new{n}", content=tuple(vector.tolist())) for n, vector in enumerate(vectors)]
    history = [Event(id=prepared.item_ids[7])]
    scores = {item.id: item.score for item in ranker.rank(history, unknown)}
    assert len(set(scores.values())) == 3
    for item, vector in zip(unknown, vectors, strict=True):
        features = Case(1, np.array([1]), np.array([7]), np.zeros(1, np.float32), vector[None], vectors[:1])
        # An unknown item has no fields at all on a robot, where training's row 1 says "unknown" of each.
        with torch.no_grad():
            values = torch.zeros(1, model.item_values.shape[1], dtype=torch.int64)
            values[0, 0] = 1
            past = model.item_values[7][None, None]
            logits = model.score_values(
                torch.tensor([[1, 0]]), values, past, past[..., 0] > 0, None,
                torch.from_numpy(features.item_content), torch.from_numpy(features.history_content)[None],
            )  # fmt: skip
        assert scores[item.id] == pytest.approx(float(torch.sigmoid(logits)), abs=PARITY)


def test_the_bundle_says_what_it_is(data, din, tmp_path):
    _, prepared, _ = data
    model, exported = din
    bundle = write_ranker(exported, model, prepared, FACTS, tmp_path / "bundle")
    manifest = bundle.manifest
    assert (manifest.name, manifest.version, manifest.protocol) == ("small-ranker", "1.2.3", prepared.protocol)
    assert [(f.name, f.columns) for f in manifest.item_fields] == [("item", 1), ("category", 1), ("genre", 2)]
    assert [f.name for f in manifest.user_fields] == ["user", "group"]
    assert (manifest.content.encoder, manifest.content.dimension) == (ENCODER, DIM)
    assert bundle.arrays["content.npy"].shape == (len(prepared.item_ids) - 4, DIM)
    assert [metric.name for metric in manifest.metrics] == ["auc", "log_loss"]  # no GAUC that is no number
    card = (bundle.path / "MODEL_CARD.md").read_text()
    for expected in (prepared.protocol, "CC0-1.0", "Leakage check", "din", "0.7100", "which was never trained"):
        assert expected in card
    catalogue = create_ranker(bundle).catalogue
    assert catalogue["item1"] == Item(
        id="item1", title="Title 1", fields={"category": ("b",), "genre": ("comedy", "drama")}
    )
    trained = {prepared.item_ids[i] for i in range(2, len(prepared.item_ids)) if prepared.item_values[i, 0] >= 2}
    known = {item.id for item in create_ranker(bundle).rank([]) if item.known}
    assert known == trained
    assert known < set(catalogue)


def test_the_golden_case_is_nobodys_history(data, din):
    _, prepared, _ = data
    golden = din[1].golden
    assert golden["input:user"].tolist() == [1, 1]  # the group, too, is unknown
    assert golden["input:history"].shape == (12, 4)
    samples = prepared.samples("test")
    histories = [prepared.sequence[start:end] for start, end in zip(samples.start, samples.end, strict=True)]
    kept = KeptIds.of(prepared.item_values)
    found = golden["input:history"][:, 0].tolist()
    assert all(kept.new[np.asarray(prepared.item_values)[history[-12:], 0]].tolist() != found for history in histories)
    assert np.unique(golden["output:scores"]).size > 8


def test_empty_values_of_an_attribute_have_no_index_on_a_robot_either():
    fields = (Field("item", 4), Field("genre", 4, columns=3))
    values = np.array([[0] * 4, [1] * 4, [2, 0, 2, 3], [3, 3, 0, 0]], np.int32)
    kinds = pa.map_(pa.string(), pa.list_(pa.string()))
    attributes = pa.array([[("genre", ["", "war", "love"])], [("genre", ["love", None])]], kinds)
    found = named(fields, values, ["", "", "a", "b"], pa.table({"id": ["a", "b"], "attributes": attributes}))
    assert found.vocabularies == {"genre": ["war", "love"]}
    assert found.rows == [{"genre": ("war", "love")}, {"genre": ("love",)}]


def test_without_the_log_values_are_called_by_their_index(data):
    log, prepared, _ = data
    fields, values = prepared.item_fields, prepared.item_values
    plain = named(fields, values, prepared.item_ids, None)
    whole = named(fields, values, prepared.item_ids, log.items(["id", "title", "category", "attributes"]))
    assert plain.vocabularies["category"] == ["2", "3"]
    assert sorted(whole.vocabularies["category"]) == ["a", "b"]  # "late" came after the end of training
    assert whole.vocabularies["category"][int(plain.rows[0]["category"][0]) - 2] == whole.rows[0]["category"][0]
    with pytest.raises(SettingsError, match="not the one that the samples were prepared from"):
        named(fields, values, ["", "", "x"], log.items(["id", "category", "attributes"]))


def test_another_log_is_refused(data, tmp_path):
    log, prepared, _ = data
    assert licence_of(prepared, log) == "CC0-1.0"
    assert licence_of(prepared, None) == "not stated"
    items = log.items()
    content = {name: items[name].to_pylist() for name in ("id", "title", "attributes")}

    def fill(writer):
        writer.add_items(**content, category=items["category"].to_pylist()[::-1])
        for batch in log.event_batches():
            writer.add_events(**{name: batch[name] for name in ("user", "item", "time", "label")})

    changed = write_log(About("small"), fill, tmp_path / "changed")
    with pytest.raises(SettingsError, match=r"not the log that .* was prepared from, or has changed since"):
        licence_of(prepared, changed)
    table = changed.items(["id", "title", "category", "attributes"])
    with pytest.raises(SettingsError, match=r"category '.*' of one is '.*' of the other"):
        named(prepared.item_fields, prepared.item_values, prepared.item_ids, table)


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not finite"), (1e6, "too large for a bundle")])
def test_embeddings_that_a_bundle_cannot_hold_are_refused_with_the_item(data, value, reason):
    _, prepared, content = data
    vectors = content.rows(np.arange(len(prepared.item_ids)))
    vectors[9, 2] = value
    with pytest.raises(RapportError, match=f"item {prepared.item_ids[9]!r}.*{reason}"):
        content_arrays(prepared, InMemoryContent(vectors, ENCODER))


def test_a_graph_that_scores_differently_is_refused(data, din):
    _, prepared, _ = data
    model, exported = din
    engine = create_engine(exported.onnx, EngineSettings(name="onnxruntime-cpu"))
    ids = KeptIds.of(prepared.item_values), KeptIds.of(prepared.user_values)
    translator, cases = Translator(model, exported.inputs, *ids), list(random_cases(model, DIM, 12, 4))
    assert check_parity(model, engine, translator, cases) <= PARITY
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.deep.layers[-1].bias += 1e-3
    with pytest.raises(RapportError, match=r"differs from training's by .*, more than 1e-05, for a history of 0 "):
        check_parity(other, engine, translator, cases)
    with torch.no_grad():
        other.deep.layers[-1].bias.fill_(float("nan"))
    with pytest.raises(RapportError, match="differs from training's by nan"):
        check_parity(other, engine, translator, cases)


def test_kept_ids_leave_out_what_training_did_not_have():
    kept = KeptIds.of(np.array([[0], [1], [2], [1], [4]]))
    assert kept.old.tolist() == [0, 1, 2, 4]
    assert kept.new.tolist() == [0, 1, 2, 1, 3]
    assert kept.names(["", "", "a", "b", "c"]) == ["a", "c"]
    assert kept.values(np.array([[4, 7], [3, 8]])).tolist() == [[3, 7], [1, 8]]


def test_a_folded_dice_is_a_dice():
    torch.manual_seed(0)
    dice = Dice(5)
    with torch.no_grad():
        dice.alpha.normal_()
        dice.norm.running_mean.normal_()
        dice.norm.running_var.uniform_(0.1, 3.0)
    values = 10 * torch.randn(7, 3, 5)
    assert torch.allclose(FoldedDice(dice.eval())(values), dice(values), atol=1e-5)


def test_a_folded_activation_unit_is_one(data):
    _, prepared, _ = data
    plain, deeper = (random_model(prepared, model="din", attention_hidden=hidden) for hidden in ((8,), (8, 4)))
    width = plain.items.dimension
    target, history = torch.randn(6, width), torch.randn(1, 5, width)
    at = Padded(torch.ones(1, 5, dtype=torch.bool))
    for model in (plain, deeper):
        unit, other = model.interest.activation, folded(model).interest.activation
        assert isinstance(other, FoldedActivationUnit) == (model is plain)
        assert unit(target, history, at).shape == (6, 5)
        assert torch.allclose(other(target, history, at), unit(target, history, at), atol=1e-5)


def test_random_cases_have_empty_and_full_histories(data):
    _, prepared, _ = data
    cases = list(random_cases(random_model(prepared, model="average"), None, 12, 5))
    assert [len(case.history) for case in cases[:3]] == [0, 1, 12]
    assert [len(case.items) == 1 for case in cases] == [False, True, False, False, False]
    assert all(case.item_content is None for case in cases)


def test_the_command_exports_a_trained_run_with_its_figures(data, tmp_path):
    log, prepared, content = data
    centre = EmbeddedCentre(tmp_path / "centre", CentreFormat(encoder=ENCODER, dimension=DIM))
    ids = prepared.item_ids[4:]
    centre.put(ids, content.rows(np.arange(4, len(prepared.item_ids))), ["made up"] * len(ids))
    centre.publish()
    centre.close()
    settings = {"embedding_dim": 4, "hidden": (8,), "batch_size": 64, "epochs": 1, "patience": 0}
    recipe = CtrRecipe(name="tiny", model="average", mim=True, history_length=12, **settings)
    fit_ctr(recipe, prepared, tmp_path / "run", content=content, devices=1)
    options = ["--run", tmp_path / "run", "--data", prepared.path, "--centre", tmp_path / "centre", "--log", log.path]
    options += ["--out", tmp_path / "bundle", "--name", "suggest", "--version", "2.0.0"]
    result = CliRunner().invoke(main, ["interest", "export", *map(str, options)])
    assert result.exit_code == 0, result.output
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert (manifest.name, manifest.version) == ("suggest", "2.0.0")
    assert manifest.content.encoder == ENCODER
    model, _ = load_ctr(tmp_path / "run")
    _, found = evaluate_ctr(model, prepared, "test", content)
    figures = {metric.name: metric.value for metric in manifest.metrics}
    assert (figures["auc"], figures["log_loss"]) == pytest.approx((found.auc, found.log_loss), abs=1e-6)
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "labels shuffled" in card
    again = CliRunner().invoke(main, ["interest", "export", *map(str, options)])
    assert (again.exit_code, "exists" in again.output) == (2, True)
    without = CliRunner().invoke(main, ["interest", "export", *map(str, options[:4]), "--out", str(tmp_path / "b")])
    assert (without.exit_code, "--centre" in without.output) == (2, True)
