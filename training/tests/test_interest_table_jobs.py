"""Jobs of a suite: equal ones are done once, and whatever decides a result is in its key."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training package is not installed")

from tiny_tables import SUITE, tiny_suite

from rapport_edge.errors import SettingsError
from rapport_training.interest.ctr.recipe import Mim
from rapport_training.interest.tables.cost import cost_jobs
from rapport_training.interest.tables.jobs import LogDigests, Planner, by_seed, chain, check_only
from rapport_training.interest.tables.suite import Suite

DIGESTS = {"first": LogDigests("l1", "p1"), "second": LogDigests("l2", "p2")}


def planner(suite: Suite, digests: dict[str, LogDigests] = DIGESTS) -> Planner:
    return Planner(suite, suite.seeds, digests)


def keys(suite: Suite, digests: dict[str, LogDigests] = DIGESTS) -> set[str]:
    return {job.key for job in by_seed(planner(suite, digests).tables())}


def test_base_and_mim_differ_in_mim_alone_and_equal_rows_share_a_training(tmp_path: Path) -> None:
    two, three, _ = planner(tiny_suite(tmp_path)).tables()
    base, mim = two.rows[2].jobs[0], two.rows[3].jobs[0]
    assert (base.recipe.mim, mim.recipe.mim) == (False, True)
    assert {
        name for name in base.recipe.__struct_fields__ if getattr(base.recipe, name) != getattr(mim.recipe, name)
    } == {"mim"}
    assert base.key == three.rows[0].jobs[0].key
    assert mim.key == three.rows[3].jobs[0].key
    assert three.rows[2].jobs == []


def test_jobs_come_seed_by_seed_and_once(tmp_path: Path) -> None:
    jobs = list(by_seed(planner(tiny_suite(tmp_path)).tables()))
    assert len({job.key for job in jobs}) == len(jobs) == 2 * (4 + 1 + 2)
    seeds = [job.recipe.seed for job in jobs]
    assert seeds == sorted(seeds)


@pytest.mark.parametrize(
    "change",
    [
        ("top_k: 4", "top_k: 5"),
        ("queue: 2", "queue: 3"),
        ("dda_epochs: 0", "dda_epochs: 1"),
        ("seeds: [0, 1]", "seeds: [2, 3]"),
    ],
)
def test_another_setting_is_another_job(tmp_path: Path, change: tuple[str, str]) -> None:
    assert keys(tiny_suite(tmp_path)) - keys(tiny_suite(tmp_path, SUITE.replace(*change)))


def test_other_data_are_other_jobs_and_titles_are_not(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path)
    for changed in (LogDigests("l1", "p9"), LogDigests("l9", "p1")):
        assert keys(suite) != keys(suite, DIGESTS | {"first": changed})
    assert keys(suite) == keys(tiny_suite(tmp_path, SUITE.replace("First log", "Another title")))


def test_another_encoder_seed_counts_only_where_every_seed_has_an_encoder(tmp_path: Path) -> None:
    one = planner(tiny_suite(tmp_path))
    each = planner(tiny_suite(tmp_path, SUITE + "encoder_seeds: each\n"))
    assert one.encoder("first", "mim", 0).key == one.encoder("first", "mim", 1).key
    assert each.encoder("first", "mim", 0).key != each.encoder("first", "mim", 1).key


def test_an_encoder_is_a_chain_and_ignores_the_other_stages_settings(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path)
    steps = chain(planner(suite).encoder("first", "mim", 0))
    assert [step.step.stage for step in steps] == ["pretrain", "csft"]
    assert steps[1].start == steps[0]
    text = SUITE.replace(
        "{stage: pretrain, recipe: compact}", "{stage: pretrain, recipe: compact, change: {csft: {queue: 9}}}"
    )
    other = chain(planner(tiny_suite(tmp_path, text)).encoder("first", "mim", 0))
    assert other[0].key == steps[0].key


def test_a_logs_change_is_for_all_models_on_it_alone(tmp_path: Path) -> None:
    text = SUITE.replace("second: {title: Second log}", "second: {title: Second log, change: {dropout: 0.3}}")
    for job in by_seed(planner(tiny_suite(tmp_path, text)).tables()):
        assert (job.recipe.dropout == 0.3) == (job.log == "second")


def test_mim_takes_the_modules_that_the_models_recipe_names(tmp_path: Path) -> None:
    text = SUITE.replace("top_k: 4", "mim: {fusion: false}, top_k: 4")
    two, *_ = planner(tiny_suite(tmp_path, text)).tables()
    base, mim = two.rows[2].jobs[0], two.rows[3].jobs[0]
    assert (base.recipe.mim, mim.recipe.mim) == (False, Mim(fusion=False))


def test_a_log_that_was_not_given_has_no_jobs(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path)
    only_second = planner(suite, {"second": DIGESTS["second"]})
    assert {job.log for job in by_seed(only_second.tables())} == {"second"}
    assert cost_jobs(suite, only_second) == []
    assert len(cost_jobs(suite, planner(suite))) == 8


def test_only_chooses_tables_and_refuses_others(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path)
    assert [(t.plan.table, t.plan.log) for t in planner(suite).tables(["2/second", "3"])] == [
        ("3", "first"),
        ("2", "second"),
    ]
    check_only(suite, ["6", "3/first"])
    with pytest.raises(SettingsError, match="3/first"):
        check_only(suite, ["3/second"])


def test_a_change_to_what_no_recipe_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="topk"):
        list(by_seed(planner(tiny_suite(tmp_path, SUITE.replace("top_k: 4", "topk: 4"))).tables()))


def test_an_alias_of_itself_is_refused_like_any_other_wrong_value(tmp_path: Path) -> None:
    text = SUITE.replace(
        "second: {title: Second log}", "second: {title: Second log, change: &change {hidden: *change}}"
    )
    with pytest.raises(SettingsError, match="hidden"):
        list(by_seed(planner(tiny_suite(tmp_path, text)).tables()))
