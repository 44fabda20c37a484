"""The paper's figures, arrows, spreads and dashes of Table I."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training package is not installed")

from tiny_evaluation import WHOLE, result, write_suite

from rapport_edge.errors import SettingsError
from rapport_training.demographic.evaluation import paper
from rapport_training.demographic.evaluation.result import cross_matrix
from rapport_training.demographic.evaluation.suite import load_suite
from rapport_training.demographic.evaluation.table import MISSING, arrow, as_markdown, heading, table_of
from rapport_training.reporting.spread import Spread
from rapport_training.yaml_files import suite_path


def cell(table, test: str, metric: str, source: str, column: str) -> str:
    row = next(row for row in table.rows if (row.test, row.metric, row.source) == (test, metric, source))
    return row.cells[table.columns.index(column)]


def test_the_papers_table_is_whole_and_has_its_arrows() -> None:
    assert len(paper.FIGURES) == 48
    suite = load_suite(suite_path("table-1"))
    table = table_of(suite, [], suite.settings[0])
    assert [row.source for row in table.rows].count("paper") == 8
    assert cell(table, "GenUser", "accuracy", "paper", "CLIP, fine-tuned on FairUser") == "0.145 ↓"
    assert cell(table, "GenUser", "accuracy", "paper", "FaRL, fine-tuned on FairUser") == "0.206 ↑"
    assert cell(table, "FairUser", "f1", "paper", "CLIP, out of the box") == "0.342"
    arrows = [text[-1] for row in table.rows if row.source == "paper" for text in row.cells[2:]]
    assert (arrows.count("↑"), arrows.count("↓")) == (24, 8)


def test_what_was_not_run_is_a_dash() -> None:
    suite = load_suite(suite_path("table-1"))
    table = table_of(suite, [], suite.settings[0])
    assert {text for row in table.rows if row.source == "ours" for text in row.cells} == {MISSING}


def test_mean_and_sample_deviation_over_seeds(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path))
    results = [result("CLIP", "out_of_the_box", "fairuser", 0.5)]
    results += [result("CLIP", "fairuser", "fairuser", value, seed) for seed, value in enumerate((0.6, 0.7))]
    results += [result("CLIP", "genuser", "fairuser", 0.4, 0)]
    table = table_of(suite, results, WHOLE)
    assert cell(table, "FairUser", "accuracy", "ours", "CLIP, out of the box") == "0.500"
    assert cell(table, "FairUser", "accuracy", "ours", "CLIP, fine-tuned on FairUser") == "0.650 ±0.071 ↑"
    assert cell(table, "FairUser", "accuracy", "ours", "CLIP, fine-tuned on GenUser") == "0.400 ↓"
    assert cell(table, "GenUser", "accuracy", "ours", "CLIP, out of the box") == MISSING
    assert "0.650 ±0.071 ↑" in as_markdown(table)
    matrix = cross_matrix(results, WHOLE)
    assert matrix["CLIP", "fairuser"]["fairuser"] == Spread.of([0.6, 0.7])


def test_the_spread_of_one_run_is_unknown_not_zero() -> None:
    assert Spread.of([]) is None
    assert str(Spread.of([0.25])) == "0.250"
    assert Spread.of([0.1, 0.3]).std == pytest.approx(0.2 / 2**0.5)


@pytest.mark.parametrize(
    ("value", "before", "mark"), [(0.5, 0.4, " ↑"), (0.3, 0.4, " ↓"), (0.4001, 0.4, ""), (0.4, None, "")]
)
def test_an_arrow_shows_what_is_printed(value: float, before: float | None, mark: str) -> None:
    assert arrow(value, before) == mark


def test_the_heading_says_reduced_size_only_where_it_is(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path))
    small = heading(suite, [result("CLIP", "out_of_the_box", "fairuser", 0.5)])
    assert any(line.startswith("Reduced size") for line in small)
    assert any("FairUser: train 800, val 100, test 100" in line and "c" * 12 in line for line in small)
    assert any(line == "GenUser: not given" for line in small)
    full = heading(suite, [result("CLIP", "out_of_the_box", "fairuser", 0.5, size=10_000)])
    assert not any(line.startswith("Reduced size") for line in full)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds: [0, 1]", "seeds: []"), "seeds"),
        (("genuser: RECIPE}", "gen: RECIPE}"), "gen"),
        (("weights: start, ", ""), "weights"),
        (("label: FaRL", "label: CLIP"), "same label"),
        (("pool: 8", "pool: 1"), "pool"),
    ],
)
def test_a_wrong_suite_is_refused_by_field(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    from tiny_evaluation import SUITE

    with pytest.raises(SettingsError, match=message):
        load_suite(write_suite(tmp_path, SUITE.replace(*change)))


def test_an_unknown_suite_names_the_shipped_ones() -> None:
    with pytest.raises(SettingsError, match="table-1"):
        suite_path("nope")
