"""The paper's tables beside ours, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

from rapport_training.interest.tables import paper
from rapport_training.interest.tables.record import CostRecord, Record, RowRecord, Table, TableRecord
from rapport_training.interest.tables.result import CostResult, CtrResult, gain, spread

#: What stands where nothing was measured.
MISSING = "–"

TITLES = {
    "2": "Table 2: click-through-rate prediction",
    "3": "Table 3: the impact of pre-training",
    "4": "Table 4: signal and loss of C-SFT",
    "5": "Table 5: ablation study",
    "6": "Table 6: cost per sample",
    "fig-5": "Figure 5: encoders",
}

OURS = ["version", "AUC", "Δ AUC", "GAUC", "log loss", "AUC, new items", "Δ new items", "Δ known items"]
PAPERS = ["paper: AUC", "paper: Δ"]


def auc(result: CtrResult) -> float | None:
    """Of all test samples."""
    return result.test.auc


def gauc(result: CtrResult) -> float | None:
    """Of all test samples."""
    return result.test.gauc


def log_loss(result: CtrResult) -> float | None:
    """Of all test samples."""
    return result.test.log_loss


def auc_new(result: CtrResult) -> float | None:
    """Of test samples of items without a training sample."""
    return None if result.new is None else result.new.auc


def auc_known(result: CtrResult) -> float | None:
    """Of the others."""
    return None if result.known is None else result.known.auc


def auc_table(record: Record, table: TableRecord) -> Table:
    """Ours, and the paper's figures where they mean the same."""
    with_paper = record.suite.paper and any((table.table, row.label) in paper.AUC for row in table.rows)
    rows = [_our_cells(record, table, row) for row in table.rows]
    if with_paper:
        rows = [[*cells, *_paper_cells(table, row)] for cells, row in zip(rows, table.rows, strict=True)]
    return Table(
        title=title_of(record, table),
        columns=[*OURS, *PAPERS] if with_paper else OURS,
        rows=rows,
        notes=_notes(record, table),
    )


def title_of(record: Record, table: TableRecord) -> str:
    """Such as "Table 2: click-through-rate prediction, MovieLens 100K"."""
    return f"{TITLES[table.table]}, {record.suite.logs[table.log].title}"


def base_jobs(table: TableRecord, row: RowRecord) -> list[str]:
    """Jobs of the row that differences are taken from; none for a row without."""
    return next((other.jobs for other in table.rows if other.label == row.base), [])


def cost_table(record: Record) -> Table:
    """Table 6."""
    device = next((one.device for row in record.costs for one in (row.train, row.inference) if one), "cpu")
    columns = ["version", "GFLOPs, training", "Δ", "GFLOPs, inference", "Δ"]
    columns += ["MB, training", "Δ", "MB, inference", "Δ"]
    columns += ["paper: GFLOPs, training, inference", "paper: GB, training, inference"] if record.suite.paper else []
    rows = [_cost_cells(record, row) for row in record.costs]
    return Table(title=TITLES["6"], columns=columns, rows=rows, notes=_cost_notes(record, device))


def _our_cells(record: Record, table: TableRecord, row: RowRecord) -> list[str]:
    results, base = record.results, base_jobs(table, row)

    def value(metric: object) -> str:
        found = spread(results, row.jobs, metric)  # type: ignore[arg-type]
        return MISSING if found is None else found.text(4)

    def difference(metric: object) -> str:
        # A run of part of the seeds pairs those that both rows have.
        found = gain(results, row.jobs, base, metric) if len(base) == len(row.jobs) else None  # type: ignore[arg-type]
        return MISSING if found is None else found.text(4, signed=True)

    label = f"{row.label} [{row.stands_for}]" if row.stands_for else row.label
    return [
        label,
        value(auc),
        difference(auc),
        value(gauc),
        value(log_loss),
        value(auc_new),
        difference(auc_new),
        difference(auc_known),
    ]


def paper_gain(table: str, label: str, base: str) -> float | None:
    """The paper's difference between two rows; None where it has one of them not."""
    value, before = paper.AUC.get((table, label)), paper.AUC.get((table, base))
    return None if value is None or before is None else value - before


def _paper_cells(table: TableRecord, row: RowRecord) -> list[str]:
    value = paper.AUC.get((table.table, row.label))
    difference = paper_gain(table.table, row.label, row.base)
    return [
        MISSING if value is None else f"{value:.4f}",
        MISSING if difference is None else f"{difference:+.4f}",
    ]


def _notes(record: Record, table: TableRecord) -> list[str]:
    log = record.logs.get(table.log)
    found = []
    if log is not None:
        found.append(f"Protocol: {log.protocol}; {log.sizes[2]:,} test samples, {log.new:,} of new items.")
        found.append(f"{log.leakage[:1].upper()}{log.leakage[1:]}.")
    found += _incomplete(record, table)
    found += [table.note] if table.note else []
    if record.suite.paper and table.table in paper.REMARKS:
        found.append(paper.REMARKS[table.table])
    return found


def _incomplete(record: Record, table: TableRecord) -> list[str]:
    """Rows that lack a seed, of which means and spreads say less."""
    counts = {row.label: sum(key in record.results for key in row.jobs) for row in table.rows}
    fewer = [f"{label} {count}" for label, count in counts.items() if 0 < count < len(record.seeds)]
    return [f"Not all of the {len(record.seeds)} seeds yet: {', '.join(fewer)}."] if fewer else []


def _cost_cells(record: Record, row: CostRecord) -> list[str]:
    base = record.costs[0]
    pairs = [(row.train, base.train), (row.inference, base.inference)]
    cells = [row.label]
    for figure, digits, unit in (("gflops", 5, 1.0), ("memory", 1, 1e6)):
        for one, other in pairs:
            cells += _cost_pair(one, None if row is base else other, figure, (digits, unit))
    if record.suite.paper:
        theirs = paper.COST.get(row.label)
        cells += [MISSING] * 2 if theirs is None else [f"{theirs[0]}, {theirs[1]}", f"{theirs[2]}, {theirs[3]}"]
    return cells


def _cost_pair(one: CostResult | None, base: CostResult | None, figure: str, form: tuple[int, float]) -> list[str]:
    """A cost and its relative difference from the base, as the paper's Δ."""
    digits, unit = form
    if one is None:
        return [MISSING, MISSING]
    value = getattr(one, figure)
    before = 0 if base is None else getattr(base, figure)
    return [f"{value / unit:,.{digits}f}", f"{(value - before) / before:+,.2f}" if before else MISSING]


def _cost_notes(record: Record, device: str) -> list[str]:
    memory = (
        "Memory: peak resident memory of one step in a process of its own, above what it held before the model was "
        "built; parameters, optimizer and activations of the whole batch."
        if device == "cpu"
        else "Memory: what torch allocated on the GPU at the peak of one step of the whole batch."
    )
    flops = (
        "GFLOPs per sample: matrix products, convolutions and attention as torch's FlopCounterMode counts them, a "
        "multiplication and an addition as two; element-wise work and look-ups count nothing."
    )
    return [flops, memory, "Δ: relative difference from Base.", *_shared(record.costs), paper.REMARKS["6"]]


def _shared(costs: Sequence[CostRecord]) -> list[str]:
    """How many encodings a batch shares, without which GFLOPs per sample say little; and how it is scored."""
    one = next((row.train for row in costs if row.train is not None and row.train.items), None)
    if one is None:
        return []
    return [
        f"A step has {one.batch_size} samples with {one.places:,} places of items in targets and histories, "
        f"{one.items:,} different items; without the representation centre each of these is encoded once a step. "
        f"Encoding every place would cost {one.places / one.items:.1f} times as much.",
        "Rows that encode items in the step score the padding of the histories, too, as an exported model does; Base "
        "and the row with the representation centre leave it out, as trainings do. So a part of the difference, small "
        "beside an encoder's, is padding.",
    ]
