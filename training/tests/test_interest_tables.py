"""Tables from results: means over seeds, differences, the paper's figures, dashes, claims, the report's files."""

from __future__ import annotations

import mmap
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="the training package is not installed")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tables import SUITE, measured, tiny_record, tiny_suite

from rapport_edge.errors import SettingsError
from rapport_training.interest.tables import paper
from rapport_training.interest.tables.cost import COSTS
from rapport_training.interest.tables.deciles import SETS, age_sets, auc
from rapport_training.interest.tables.estimate import Pace, in_words
from rapport_training.interest.tables.flops import count_flops
from rapport_training.interest.tables.peak_memory import PeakMemory
from rapport_training.interest.tables.record import CostRecord, Record, Table
from rapport_training.interest.tables.report import as_markdown, complete, write_report
from rapport_training.interest.tables.result import CostResult, gain, spread
from rapport_training.interest.tables.table import MISSING, auc_table, cost_table, paper_gain
from rapport_training.interest.tables.table import auc as whole_auc
from rapport_training.reporting.report_files import read_report


def cell(table: Table, row: str, column: str) -> str:
    found = next(cells for cells in table.rows if cells[0].startswith(row))
    return found[table.columns.index(column)]


def test_the_papers_figures_give_the_papers_differences() -> None:
    gains = {model: paper_gain("2", f"{model}, Base+MIM", f"{model}, Base") for model in ("DIN", "BST", "TWIN", "SIM")}
    printed = {"DIN": 0.0042, "BST": 0.0054, "TWIN": 0.0023, "SIM": 0.0038}
    assert gains == pytest.approx(printed, abs=1.01e-4)  # the paper rounds after subtracting
    assert paper_gain("3", "Plain FoM", "Base") == pytest.approx(0.0006)
    assert paper_gain("4", "v5: CL, purchase", "Base") == pytest.approx(0.0038)
    assert paper_gain("fig-5", "EVA-2", "Base") is None
    assert sorted(COSTS) == sorted(paper.COST)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_age_sets_share_the_tested_items_evenly_from_new_to_old(seed: int) -> None:
    rng = np.random.default_rng(seed)
    item = rng.integers(2, 60, 300)
    created = np.where(rng.random(60) < 0.2, -1, rng.integers(0, 8, 60))  # some unknown, many equal
    label, score = rng.integers(0, 2, 300).astype(float), rng.random(300)
    found = age_sets(item, label, score, created)
    known = np.unique(item[created[item] >= 0])
    assert len(found) == (SETS if len(known) >= SETS else 0)
    assert sum(one.items for one in found) == (len(known) if found else 0)
    if found:
        assert max(one.items for one in found) - min(one.items for one in found) <= 1
        assert [one.first for one in found] == sorted((one.first for one in found), reverse=True)
        assert sum(one.samples for one in found) == np.isin(item, known).sum()
        order = rng.permutation(300)
        assert age_sets(item[order], label[order], score[order], created) == found


def test_a_set_with_one_label_has_no_auc() -> None:
    assert auc(np.ones(4), np.arange(4.0)) is None
    assert auc(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])) == 0.75


def test_means_and_differences_are_over_seeds_that_both_rows_have(tmp_path: Path) -> None:
    record = tiny_record(tiny_suite(tmp_path))
    table = auc_table(record, record.tables[0])
    base, mim = ([record.results[f"{name}{seed}"].test.auc for seed in (0, 1)] for name in ("base", "mim"))
    differences = np.subtract(mim, base)
    assert cell(table, "DIN, Base+MIM", "AUC") == f"{np.mean(mim):.4f} ±{np.std(mim, ddof=1):.4f}"
    assert cell(table, "DIN, Base+MIM", "Δ AUC") == f"{differences.mean():+.4f} ±{np.std(differences, ddof=1):.4f}"
    assert cell(table, "DIN, Base", "Δ AUC") == MISSING
    assert cell(table, "DIN, Base+MIM", "paper: Δ") == "+0.0043"
    one_seed = {key: value for key, value in record.results.items() if key != "base1"}
    assert gain(one_seed, ["mim0", "mim1"], ["base0", "base1"], whole_auc).runs == 1
    assert spread(one_seed, ["mim0", "mim1"], whole_auc).runs == 2
    assert spread({}, ["mim0"], whole_auc) is None


def test_what_was_not_measured_is_a_dash_with_its_reason(tmp_path: Path) -> None:
    record = complete(tiny_record(tiny_suite(tmp_path)))
    table = next(table for table in record.printed if table.title.startswith("Table 3"))
    assert set(table.rows[0][1:7]) == {MISSING}
    assert "- Not measured: table 3, first: Base: not trained yet" in as_markdown(record)


def test_rows_that_lack_a_seed_are_named(tmp_path: Path) -> None:
    record = tiny_record(tiny_suite(tmp_path))
    assert not any("seeds yet" in note for note in auc_table(record, record.tables[0]).notes)
    fewer = {key: value for key, value in record.results.items() if key != "mim1"}
    table = auc_table(msgspec.structs.replace(record, results=fewer), record.tables[0])
    assert "Not all of the 2 seeds yet: DIN, Base+MIM 1." in table.notes


def test_every_table_names_protocol_and_leakage_check(tmp_path: Path) -> None:
    record = complete(tiny_record(tiny_suite(tmp_path)))
    for table in record.printed[:2]:
        assert any("time 80/10/10, label = click" in note for note in table.notes)
        assert any("Leakage check: labels shuffled 0.5012" in note for note in table.notes)


@pytest.mark.parametrize(("gain_wanted", "holds"), [(0.05, True), (0.4, False)])
def test_a_claim_holds_or_does_not(tmp_path: Path, gain_wanted: float, *, holds: bool) -> None:
    suite = tiny_suite(tmp_path, SUITE.replace("gain: 0.05", f"gain: {gain_wanted}"))
    outcome = complete(tiny_record(suite)).claims[0]
    whole, new, known = outcome.gains["DIN"]
    assert outcome.holds == holds
    assert new > whole > known > 0
    assert f"{int(holds)} of 1 models" in outcome.sentence
    assert "more on new than on known items: 1 of 1" in outcome.sentence


def test_the_three_files_say_the_same(tmp_path: Path) -> None:
    record = complete(tiny_record(tiny_suite(tmp_path)))
    page = write_report(record, tmp_path / "report").read_text()
    markdown = (tmp_path / "report" / "report.md").read_text()
    kept = read_report(tmp_path / "report", Record)
    assert kept == msgspec.convert(msgspec.to_builtins(record), Record)
    for table in kept.printed:
        for text in [table.title, *(text for row in table.rows for text in row)]:
            assert text in markdown
            assert text in page
    assert page.count("data:image/png;base64,") == 2  # gains of Table 2, Figure 6
    assert "http" not in page.replace("http-equiv", "")


def test_figure_6_has_the_gain_of_every_set(tmp_path: Path) -> None:
    record = complete(tiny_record(tiny_suite(tmp_path)))
    table = next(table for table in record.printed if table.title.startswith("Figure 6"))
    assert table.columns == ["model", *(f"S{number}" for number in range(1, 11))]
    pairs = [(record.results[f"mim{s}"].ages, record.results[f"base{s}"].ages) for s in (0, 1)]
    for place in range(10):
        mean = np.mean([mim[place].auc - base[place].auc for mim, base in pairs])
        assert table.rows[0][place + 1].startswith(f"{mean:+.4f}")
    assert float(table.rows[0][1].split()[0]) > float(table.rows[0][10].split()[0])  # new items gain most


def test_costs_are_relative_to_base(tmp_path: Path) -> None:
    def cost(gflops: float, memory: int, items: int = 0) -> CostResult:
        return CostResult(
            key="k", gflops=gflops, memory=memory, device="cpu", batch_size=8, items=items, places=40, seconds=1.0
        )

    costs = [
        CostRecord(label="Base", train=cost(0.002, 2_000_000), inference=None),
        CostRecord(label="Base+MIM (w/o RC)", train=cost(0.5, 3_000_000, items=20), inference=cost(0.2, 1_000_000)),
    ]
    record = msgspec.structs.replace(tiny_record(tiny_suite(tmp_path)), costs=costs)
    table = cost_table(record)
    assert table.rows[1][1:3] == ["0.50000", "+249.00"]
    assert table.rows[1][5:7] == ["3.0", "+0.50"]
    assert table.rows[0][3:5] == [MISSING, MISSING]
    assert any("20 different items" in note and "2.0 times" in note for note in table.notes)
    assert any("score the padding" in note for note in table.notes)


def test_pace_takes_the_nearest_kind() -> None:
    pace = Pace()
    assert pace.left([("ctr", "log", "din", "")]) is None
    pace.add(("csft", "log"), 100.0)
    pace.add(("ctr", "log", "din", ""), 10.0)
    pace.add(("ctr", "log", "din", "content"), 20.0)
    assert pace.left([("ctr", "log", "din", "content"), ("ctr", "other", "din", "")]) == 30.0
    assert pace.left([("ctr", "log", "sim", "content")]) == 20.0
    assert in_words(30.0) == ", about 30 s left"
    assert in_words(720.0) == ", about 12 min left"


def test_peak_memory_sees_what_was_freed_again() -> None:
    # Linux counts pages late: on each processor up to twice as many as there are processors, 1 MiB where there are 128.
    late = 8 * 2**20
    with PeakMemory() as memory, mmap.mmap(-1, 64 * 2**20) as block:  # malloc may have as much that was freed before
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
    assert abs(memory.bytes - 64 * 2**20) < late
    with PeakMemory() as nothing:
        pass
    assert nothing.bytes < late


@pytest.mark.parametrize(("groups", "share"), [(1, 1), (8, 8)])
def test_flops_of_a_convolution_and_its_backward_pass(groups: int, share: int) -> None:
    layer = torch.nn.Conv2d(8, 16, 3, groups=groups, bias=False)
    pictures = torch.ones(2, 8, 6, 6, requires_grad=True)
    forward = 2 * 2 * 16 * 4 * 4 * (8 // share) * 9
    assert count_flops(lambda: layer(pictures)) == forward
    assert count_flops(lambda: layer(pictures).sum().backward()) == 3 * forward
    assert count_flops(lambda: layer(pictures.detach()).sum().backward()) == 2 * forward


def test_flops_of_attention_are_those_of_its_two_products() -> None:
    query = torch.ones(2, 4, 10, 16)
    attention = torch.nn.functional.scaled_dot_product_attention
    assert count_flops(lambda: attention(query, query, query)) == 2 * (2 * 2 * 4 * 10 * 10 * 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds: [0, 1]", "seeds: []"), "seeds"),
        (("models: [din, sim], encoder: mim", "models: [din, twin], encoder: mim"), "twin"),
        (("models: [din, sim], encoder: mim", "models: [din, sim]"), "an encoder"),
        (("Plain FoM, encoder: plain", "Plain FoM, encoder: none"), "none"),
        (("base: sim", "base: bst"), "bst"),
        (("log: second, models", "log: third, models"), "third"),
        (("batch_size: 8", "batch_size: 0"), "batch_size"),
        (("gain: 0.05", "gains: 0.05"), "gains"),
        (("seeds: [0, 1]", "seeds: [4294967296]"), "4294967295"),
        (("top_k: 4", "seed: 4"), "model sim changes the seed"),
        (("stage: csft", "stage: pretrain"), "encoder mim: pretrain .* can only be the first step"),
    ],
)
def test_a_wrong_suite_is_refused_with_what_is_wrong(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        tiny_suite(tmp_path, SUITE.replace(*change))


def test_a_suite_that_measures_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing to measure"):
        tiny_suite(tmp_path, SUITE[: SUITE.index("tables:")] + "tables: []\n")


def test_results_of_two_seeds_differ() -> None:
    assert measured("a", 0, 1.0, 1.0).test.auc != measured("a", 1, 1.0, 1.0).test.auc
