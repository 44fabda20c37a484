"""Table I of the paper beside ours: fine-tuning and test set against each other, one table per setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapport_training.demographic.evaluation import paper
from rapport_training.demographic.evaluation.result import DataSummary, Result, runs_of, spread_of
from rapport_training.demographic.evaluation.retrieval import Figures, Setting
from rapport_training.demographic.evaluation.suite import OUT_OF_THE_BOX, Suite
from rapport_training.reporting.markdown import markdown_table
from rapport_training.reporting.spread import Spread

#: What stands where there is no run.
MISSING = "–"

#: (variant, label of the model).
Column = tuple[str, str]

READINGS = """\
The paper names neither the pool that a query searches nor what is right among equal captions, so each reading is a
table of its own. Chance levels narrow them down. FairUser has 126 captions: exact images in its whole test set of
10,000 cannot exceed .0126, and the paper has .236 to .530, so there either equal profiles count as right or the pools
are small. GenUser's captions are all different: there a profile is an image, and .133 to .680 can be the whole test set
of 1,000 or small pools. Recall within .001 of accuracy means classes of nearly equal support. Precision above recall,
as in all rows of the paper, is impossible where each image is a class of its own, but not over places in a pool, as
when a program compares the arg max of each batch with 0, 1, 2, ... No single reading that was tried explains all 48
figures."""


@dataclass(frozen=True)
class Row:
    """One line: a metric on a test set, ours or the paper's.

    Attributes:
        test, metric: what was measured.
        source: "ours" or "paper".
        cells: in the order of the table's columns.
    """

    test: str
    metric: str
    source: str
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """One setting's table.

    Attributes:
        title: of the setting.
        columns: headings, such as "CLIP, fine-tuned on FairUser".
        rows: by test set and metric.
        notes: chance and ceiling by test set.
    """

    title: str
    columns: list[str]
    rows: list[Row]
    notes: list[str]


def columns_of(suite: Suite, results: Sequence[Result]) -> list[Column]:
    """All columns of a suite, whether there is a run or not, and those of results that no suite foresaw."""
    planned = [(variant, model.label) for variant in suite.variants for model in suite.models if model.recipes]
    return list(dict.fromkeys([*planned, *((found.variant, found.label) for found in results)]))


def table_of(suite: Suite, results: Sequence[Result], setting: Setting) -> Table:
    """Ours, and the paper's figures where the suite asks for them."""
    columns = columns_of(suite, results)
    rows = []
    for key, title in suite.data.items():
        for metric in paper.METRICS:
            rows.append(Row(title, metric, "ours", _our_cells(results, columns, key, setting, metric)))
            if suite.paper:
                rows.append(Row(title, metric, "paper", _paper_cells(suite, columns, title, metric)))
    return Table(
        title=setting.title,
        columns=[f"{label}, {suite.title(variant)}" for variant, label in columns],
        rows=rows,
        notes=_notes(suite, results, setting),
    )


def heading(suite: Suite, results: Sequence[Result]) -> list[str]:
    """What the data was, and whether it is the paper's in size."""
    summaries = {found.data: found.summary for found in results}
    lines = [summaries[key].line if key in summaries else f"{title}: not given" for key, title in suite.data.items()]
    if suite.paper and any(_reduced(title, summaries.get(key)) for key, title in suite.data.items()):
        sizes = "; ".join(f"{title} {'/'.join(f'{size:,}' for size in paper.SIZES[title])}" for title in paper.SIZES)
        lines.append(f"Reduced size: the paper's train/val/test are {sizes}. These figures do not reproduce its table.")
    seeds = sorted({found.seed for found in results if found.seed is not None})
    if seeds:
        lines.append(f"Fine-tuned with seeds {', '.join(map(str, seeds))}; mean ± sample standard deviation over them.")
    lines.append("Arrows: against the same model out of the box.")
    if suite.paper:
        lines.append(f"Paper: {paper.SOURCE}.")
    return lines


def as_markdown(table: Table) -> str:
    """A Markdown table that is also aligned as plain text."""
    body = [[row.test, row.metric, row.source, *row.cells] for row in table.rows]
    return "\n".join([*markdown_table(["test set", "metric", "", *table.columns], body), "", *table.notes])


def arrow(value: float | None, before: float | None) -> str:
    """As in the paper: better or worse than out of the box, after rounding to what is printed."""
    if value is None or before is None or round(value, 3) == round(before, 3):
        return ""
    return " ↑" if value > before else " ↓"


def _our_cells(
    results: Sequence[Result], columns: Sequence[Column], data: str, setting: Setting, metric: str
) -> list[str]:
    def spread(variant: str, label: str) -> Spread | None:
        return spread_of(runs_of(results, label, variant, data), setting, metric)

    return [_cell(spread(variant, label), variant, spread(OUT_OF_THE_BOX, label)) for variant, label in columns]


def _cell(found: Spread | None, variant: str, before: Spread | None) -> str:
    if found is None:
        return MISSING
    if variant == OUT_OF_THE_BOX or before is None:
        return str(found)
    return f"{found}{arrow(found.mean, before.mean)}"


def _paper_cells(suite: Suite, columns: Sequence[Column], test: str, metric: str) -> list[str]:
    cells = []
    for variant, label in columns:
        value = paper.FIGURES.get((test, metric, label, suite.title(variant)))
        before = paper.FIGURES.get((test, metric, label, suite.title(OUT_OF_THE_BOX)))
        mark = "" if variant == OUT_OF_THE_BOX else arrow(value, before)
        cells.append(MISSING if value is None else f"{value:.3f}{mark}")
    return cells


def _notes(suite: Suite, results: Sequence[Result], setting: Setting) -> list[str]:
    notes = []
    for key, title in suite.data.items():
        figures = next((one for found in results if found.data == key and (one := found.figures(setting))), None)
        if figures is not None:
            notes.append(_note(title, figures))
    return notes


def _note(title: str, figures: Figures) -> str:
    return (
        f"{title}: {figures.queries:,} queries, chance {figures.chance:.4f}, at most {figures.ceiling:.4f} where equal "
        f"captions get equal answers; averages over {figures.classes:,} classes."
    )


def _reduced(title: str, summary: DataSummary | None) -> bool:
    return summary is not None and title in paper.SIZES and summary.sizes != paper.SIZES[title]
