"""A ranker with known weights: what is ranked how, and what a robot may throw at it."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_ranker import DIM, ENCODER, VECTORS, write_ranker

from rapport_edge.bundle import Bundle, load_bundle
from rapport_edge.errors import BundleError, ModelError
from rapport_edge.ranking import BundledContent, Event, InterestRanker, Item, RankingError, create_ranker
from rapport_edge.ranking.content import Rows


@pytest.fixture
def ranker(tmp_path: Path) -> InterestRanker:
    return create_ranker(write_ranker(tmp_path / "ranker"))


def ids(ranked):
    return [item.id for item in ranked]


def sigmoid(value):
    return 1.0 / (1.0 + math.exp(-value))


def table(vectors: dict[str, tuple[float, ...]], encoder: str = ENCODER):
    """A source of content besides the bundle's, such as a centre is."""

    class Table:
        dimension = len(next(iter(vectors.values())))

        def lookup(self, asked):
            found = np.array([item in vectors for item in asked])
            rows = [vectors.get(item, (0.0,) * self.dimension) for item in asked]
            return Rows(np.array(rows, dtype=np.float32).reshape(len(asked), self.dimension), found)

    source = Table()
    source.encoder = encoder
    return source


def test_the_catalogue_is_ranked_by_what_was_liked(ranker):
    ranked = ranker.rank([Event(id="stars")])
    assert ids(ranked) == ["stars", "planets", "new", "bread", "soup"]
    assert [item.rank for item in ranked] == [1, 2, 3, 4, 5]
    expected = {"stars": 0.1 + 1 + 1.0, "planets": 0.2 + 1 + 0.8, "new": 0.0 + 1 + 0.9, "bread": 0.4, "soup": 0.3}
    assert [item.score for item in ranked] == pytest.approx([sigmoid(expected[i]) for i in ids(ranked)], abs=1e-3)


def test_an_item_that_training_did_not_have_is_ranked_by_its_content(ranker):
    unseen = [Item(id="comet", content=(0.9, 0.0, 0.0, 0.0)), Item(id="stew", content=(0.0, 0.9, 0.0, 0.0))]
    for liked, order in (("stars", ["comet", "stew"]), ("soup", ["stew", "comet"])):
        ranked = ranker.rank([Event(id=liked)], unseen)
        assert ids(ranked) == order
        assert [item.known for item in ranked] == [False, False]
    assert ranker.rank([Event(id="stars")], [Item(id="new")])[0].known is False


def test_the_reason_names_the_most_similar_item_of_the_history(ranker):
    history = [Event(id="stars"), Event(id="soup")]
    by_id = {item.id: item for item in ranker.rank(history)}
    assert by_id["planets"].reason == "resembles Stars (0.80)"
    assert (by_id["planets"].nearest.id, by_id["planets"].nearest.cosine) == ("stars", pytest.approx(0.8, abs=1e-3))
    assert by_id["stars"].reason == "chosen before"
    assert by_id["bread"].nearest is None
    assert by_id["bread"].reason == "category food, as 1 of 2 in the history"


def test_an_empty_history_ranks_by_what_holds_for_everybody(ranker):
    ranked = ranker.rank([])
    assert ids(ranked) == ["bread", "soup", "planets", "stars", "new"]
    assert {item.reason for item in ranked} == {""}
    assert ranked[0].score == pytest.approx(sigmoid(0.4), abs=1e-5)


def test_a_user_never_seen_counts_as_unknown(ranker):
    asked = [Item(id="soup")]
    stranger, odd, member = (
        ranker.rank([], asked, user=user)[0].score for user in ({}, {"group": ("x",)}, {"group": ("club",)})
    )
    assert (stranger, odd) == pytest.approx((sigmoid(0.3),) * 2)
    assert member == pytest.approx(sigmoid(0.8))


def test_a_history_with_duplicates_and_out_of_order_is_the_same_history(ranker):
    events = [Event(id="soup", time=3.0), Event(id="stars", time=1.0), Event(id="planets", time=2.0)]
    tidy = ranker.rank(sorted(events, key=lambda event: event.time))
    assert ranker.rank([*events, events[0], events[1]]) == tidy


def test_of_a_long_history_the_most_recent_count(ranker):
    recent = [Event(id="stars"), Event(id="soup"), Event(id="stars")]
    assert ranker.rank([Event(id="soup")] * 50 + recent) == ranker.rank(recent)


def test_candidates_count_once_and_the_limit_holds(ranker):
    asked = [Item(id="soup"), Item(id="bread"), Item(id="soup")]
    assert ids(ranker.rank([], asked)) == ["bread", "soup"]
    assert ids(ranker.rank([], limit=2)) == ["bread", "soup"]
    assert ranker.rank([Event(id="stars")], []) == []


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_many_candidates_score_as_one_by_one(ranker, count):
    vectors = np.random.default_rng(count).standard_normal((count, DIM)).astype(np.float32)
    asked = [Item(id=str(n), content=tuple(vector.tolist())) for n, vector in enumerate(vectors)]
    history = [Event(id="stars"), Event(id="soup")]
    together = {item.id: item.score for item in ranker.rank(history, asked)}
    assert together == pytest.approx({item.id: ranker.rank(history, [item])[0].score for item in asked}, abs=1e-6)


def test_items_of_equal_score_keep_their_order(ranker):
    asked = [Item(id=name) for name in "zax"]
    assert ids(ranker.rank([], asked)) == ["z", "a", "x"]


def test_an_item_without_content_is_ranked_by_its_fields(ranker):
    asked = [Item(id="x", fields={"category": ("food",)}), Item(id="y", fields={"category": ("astronomy",)})]
    assert ids(ranker.rank([Event(id="bread")], asked)) == ["x", "y"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_embedding_that_is_not_finite_is_refused_with_the_item(ranker, value):
    spoilt = (value, 0.0, 0.0, 0.0)
    with pytest.raises(RankingError, match="the embedding of item 'comet' is not finite"):
        ranker.rank([Event(id="stars")], [Item(id="soup"), Item(id="comet", content=spoilt)])
    with pytest.raises(RankingError, match="the embedding of item 'comet' is not finite"):
        ranker.rank([Event(id="comet", content=spoilt)])


def test_an_embedding_of_another_length_is_refused_with_the_item(ranker):
    with pytest.raises(RankingError, match="given with item 'comet' has 2 numbers; the ranker takes 4"):
        ranker.rank([], [Item(id="comet", content=(1.0, 0.0))])


def test_a_centre_answers_before_the_bundles_table_and_the_table_where_it_knows_nothing(tmp_path):
    bundle = write_ranker(tmp_path / "ranker")
    ranker = create_ranker(bundle, sources=[table({"comet": VECTORS["stars"], "soup": VECTORS["stars"]})])
    ranked = ranker.rank([Event(id="planets")], [Item(id="soup"), Item(id="comet"), Item(id="stars")])
    cosines = {item.id: item.nearest.cosine for item in ranked}
    assert cosines == pytest.approx({"soup": 0.8, "comet": 0.8, "stars": 0.8}, abs=1e-3)
    spoilt = create_ranker(bundle, sources=[table({"comet": (math.nan, 0.0, 0.0, 0.0)})])
    with pytest.raises(RankingError, match="'comet' is not finite"):
        spoilt.rank([], [Item(id="comet")])


def test_a_table_made_by_another_encoder_is_refused_with_both_digests(tmp_path):
    bundle = write_ranker(tmp_path / "ranker")
    with pytest.raises(RankingError, match=f"{'f' * 64}.*{ENCODER}"):
        create_ranker(bundle, sources=[table(VECTORS, "f" * 64)])
    with pytest.raises(RankingError, match="embeddings of 2 numbers, the ranker takes 4"):
        create_ranker(bundle, sources=[table({"x": (1.0, 0.0)})])
    without = write_ranker(tmp_path / "without", content=False)
    with pytest.raises(RankingError, match="knows no content"):
        create_ranker(without, sources=[table(VECTORS)])


def test_a_ranker_without_content_ranks_by_fields(tmp_path):
    ranker = create_ranker(write_ranker(tmp_path / "ranker", content=False))
    ranked = ranker.rank([Event(id="stars"), Event(id="planets")])
    assert ids(ranked)[:3] == ["planets", "stars", "new"]
    assert ranked[2].reason == "category astronomy, as 2 of 2 in the history"


def test_a_graph_with_a_history_of_fixed_size_gets_it_padded(tmp_path):
    fixed = create_ranker(write_ranker(tmp_path / "fixed", history=3))
    free = create_ranker(write_ranker(tmp_path / "free"))
    for history in ([], [Event(id="stars")], [Event(id="soup")] * 5):
        assert [item.score for item in fixed.rank(history)] == pytest.approx(
            [item.score for item in free.rank(history)], abs=1e-6
        )


def test_events_have_their_age_where_the_model_asks_for_it(tmp_path):
    ranker = create_ranker(write_ranker(tmp_path / "ranker", age=True, content=False))
    day = 86400.0
    score = ranker.rank([Event(id="stars", time=10 * day)], [Item(id="soup")], now=10.25 * day)[0].score
    assert score == pytest.approx(sigmoid(0.3 - 0.25))
    future = ranker.rank([Event(id="stars", time=11 * day)], [Item(id="soup")], now=10 * day)[0].score
    assert future == pytest.approx(sigmoid(0.3))
    with pytest.raises(RankingError, match="give each event of the history its time"):
        ranker.rank([Event(id="stars")])


@pytest.mark.parametrize("now", [math.nan, math.inf, 1_700_000_000_000.0, -1e300])
def test_a_moment_that_is_none_is_refused(tmp_path, now):
    ranker = create_ranker(write_ranker(tmp_path / "ranker", age=True))
    with pytest.raises(RankingError, match="the ranking is to be as of"):
        ranker.rank([Event(id="stars", time=0.0)], now=now)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"content.npy": np.full((4, DIM), np.nan, np.float16)}, "the embedding of item 'stars' is not finite"),
        ({"content.npy": np.zeros((3, DIM), np.float16)}, "has 4 ids, but content.npy 3 rows"),
        ({"content_ids.json": b'["a", "a", "b", "c"]'}, "names an item twice"),
        ({"items.json": b'["a", "a"]'}, "items.json has 'a' twice"),
        ({"items.json": b'{"a": 1}'}, "items.json cannot be read"),
        ({"catalogue.json": b'[{"id": "a", "fields": {"colour": ["red"]}}]'}, "unknown field 'colour'"),
        ({"catalogue.json": b'[{"id": "a"}, {"id": "a"}]'}, "catalogue.json has 'a' twice"),
    ],
)
def test_a_bundle_whose_files_do_not_fit_is_refused(tmp_path, files, reason):
    bundle = write_ranker(tmp_path / "ranker", files)
    with pytest.raises(BundleError, match=reason):
        create_ranker(bundle)


def test_a_table_of_another_shape_is_no_bundle(tmp_path):
    for array in (np.zeros((4, 3), np.float16), np.zeros((4, DIM), np.float32)):
        with pytest.raises(BundleError, match="must be float16"):
            write_ranker(tmp_path / "ranker", {"content.npy": array})


def test_other_bundles_are_no_rankers(tiny_bundle: Bundle):
    with pytest.raises(BundleError, match="demographic-encoder, not an interest-ranker"):
        create_ranker(tiny_bundle)


def test_an_answer_that_differs_from_the_exporters_is_refused(tmp_path):
    whole = write_ranker(tmp_path / "whole")
    with np.load(whole.path / "golden.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["output:scores"] = arrays["output:scores"] + 0.01
    with pytest.raises(BundleError, match="golden output scores differs"):
        create_ranker(write_ranker(tmp_path / "other", {"golden.npz": arrays}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["item_fields"].reverse(), "first item field must be 'item'"),
        (lambda m: m["item_fields"][1].update(name="item"), "item field 'item' is repeated"),
        (lambda m: m["item_fields"][1].update(columns=3), r"'items' is int64 \['items', 2\], but must be int64"),
        (lambda m: m["item_fields"][1].update(vocabulary="content.npy"), "must be a .json file"),
        (lambda m: m.update(catalogue="none.json"), "'none.json' is used but not listed"),
        (lambda m: m["content"].update(dimension=9), "'item_content' is float32"),
        (lambda m: m.update(content=None), "the manifest states no content"),
        (lambda m: m["content"].update(vectors="content_ids.json"), "is not an .npy file"),
        (lambda m: m["models"][0]["inputs"].pop(1), "must take 'items'"),
        (lambda m: m["models"][0]["inputs"][1].update(name="things"), "input 'things' is unknown"),
        (lambda m: m["models"][0]["outputs"][0].update(name="logits"), "must give one output, scores"),
        (lambda m: m.update(history_length=0), "history_length"),
    ],
)
def test_a_manifest_that_is_wrong_in_itself_is_refused(tmp_path, change, reason):
    path = write_ranker(tmp_path / "ranker").path / "bundle.json"
    manifest = msgspec.json.decode(path.read_bytes())
    change(manifest)
    path.write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(BundleError, match=reason):
        load_bundle(path.parent)


def test_a_damaged_model_is_named(ranker, monkeypatch):
    monkeypatch.setattr(ranker._engine, "run", lambda feeds: [np.full(len(feeds["items"]), np.nan, np.float32)])
    with pytest.raises(ModelError, match="score of item 'stars' is not finite"):
        ranker.rank([])


def test_rows_of_the_bundles_table(tmp_path):
    bundle = write_ranker(tmp_path / "ranker")
    content = bundle.manifest.content
    source = BundledContent(content, list(VECTORS), bundle.arrays[content.vectors])
    rows = source.lookup(["soup", "nobody", "stars"])
    assert rows.found.tolist() == [True, False, True]
    assert rows.vectors.tolist() == [list(VECTORS["soup"]), [0.0] * DIM, list(VECTORS["stars"])]
