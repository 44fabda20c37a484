"""A suite: the rows of the paper's tables on logs of one's own, and how each row is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rapport_training.interest.tables.paper import BASE, MIM
from rapport_training.seeds import Seed
from rapport_training.yaml_files import read_yaml

#: Tables and figures that hold AUCs row by row.
TableName = Literal["2", "3", "4", "5", "fig-5"]

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+$")]
_Label = Annotated[str, msgspec.Meta(min_length=1)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A misspelt setting is refused, not ignored."""


class LogPlan(_Part, frozen=True, kw_only=True):
    """A log, which the command line gives as --log NAME=FOLDER.

    Attributes:
        title: for headings.
        prepare: settings of `rapport-train interest prepare`.
        change: settings of all models that differ on this log, for Base and +MIM alike.
    """

    title: str
    prepare: dict[str, Any] = {}
    change: dict[str, Any] = {}


class Step(_Part, frozen=True, kw_only=True):
    """One training of an encoder; csft starts where the step before it ended.

    Attributes:
        stage: "pretrain" (Section 3.2) or "csft" (Section 3.3).
        recipe: a shipped one's name, or a file.
        change: settings that differ from the recipe, by name, nested as there.
    """

    stage: Literal["pretrain", "csft"]
    recipe: str
    change: dict[str, Any] = {}


class ModelPlan(_Part, frozen=True, kw_only=True):
    """A user-behaviour model.

    Attributes:
        label: in the tables: "SIM".
        recipe, change: as `Step`; Base and +MIM share them.
    """

    label: _Label
    recipe: str
    change: dict[str, Any] = {}


class Row(_Part, frozen=True, kw_only=True):
    """One row.

    Attributes:
        label: in the table; the paper's figure is found by it.
        model: one of the suite's models; none for the suite's base.
        encoder: one of the suite's encoders; none for the model without content.
        change: settings that differ from the model's recipe.
        stands_for: what is meant where this log has no such thing: "rating 5 against 4 and less".
        missing: why this row cannot be measured on this log; a dash with this reason.
    """

    label: _Label
    model: str | None = None
    encoder: str | None = None
    change: dict[str, Any] = {}
    stands_for: str = ""
    missing: str = ""


class TablePlan(_Part, frozen=True, kw_only=True):
    """One table on one log.

    Attributes:
        table: which of the paper's.
        log: one of the suite's logs.
        models: for Table 2: each alone and with `encoder`; the rows follow from it.
        encoder: for Table 2.
        rows: for the others. Differences are taken from the first.
        note: below the table.
    """

    table: TableName
    log: str
    models: list[str] = []
    encoder: str | None = None
    rows: list[Row] = []
    note: str = ""


class CostPlan(_Part, frozen=True, kw_only=True):
    """Table 6.

    Attributes:
        log, model, encoder: of the suite.
        batch_size: samples of the measured step. Without the representation centre each different item of the step is
            embedded once, so a larger batch shares more.
    """

    log: str
    model: str
    encoder: str
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 64


class Claim(_Part, frozen=True, kw_only=True):
    """What Table 2 is to show on a log: the mean gain in AUC of each model is at least this."""

    log: str
    gain: float
    mostly_new: bool = False


class Suite(_Part, frozen=True, kw_only=True):
    """Settings of `rapport-train interest table`.

    Attributes:
        name: of the suite.
        logs, encoders, models: by name.
        encoder_notes: what an encoder is, by its name, for the report.
        base: the model of rows that name none, SIM in the paper.
        seeds: of the click-through-rate models.
        encoder_seeds: "each" trains every encoder with each seed, too; "one" trains it once with the first seed, so
            that the spread is that of the click-through-rate models alone.
        tables, cost, claims: what is measured.
        paper: print the paper's figures beside.
    """

    name: str
    logs: dict[_Name, LogPlan]
    encoders: dict[_Name, Annotated[list[Step], msgspec.Meta(min_length=1)]] = {}
    encoder_notes: dict[str, str] = {}
    models: dict[_Name, ModelPlan]
    base: str
    seeds: Annotated[list[Seed], msgspec.Meta(min_length=1)]
    encoder_seeds: Literal["one", "each"] = "one"
    tables: list[TablePlan]
    cost: CostPlan | None = None
    claims: list[Claim] = []
    paper: bool = True


def rows_of(suite: Suite, plan: TablePlan) -> list[Row]:
    """The rows of a table; those of Table 2 follow from its models."""
    if plan.table != "2":
        return plan.rows
    rows = []
    for name in plan.models:
        label = suite.models[name].label
        rows.append(Row(label=f"{label}, {BASE}", model=name))
        rows.append(Row(label=f"{label}, {MIM}", model=name, encoder=plan.encoder))
    return rows


def load_suite(path: Path) -> Suite:
    """Reads and checks a suite.

    Raises:
        SettingsError: naming the file and what is wrong.
    """
    return read_yaml(path, Suite, "suite", _contradiction)


def _contradiction(suite: Suite) -> str:
    """A name that nothing has, or what would be passed over in silence; "" if all is well."""
    return _unmeasured(suite) or _passed_over(suite) or _unknown_name(suite)


def _unmeasured(suite: Suite) -> str:
    """Nothing to measure, or a table without rows."""
    if not suite.tables and suite.cost is None:
        return "there is nothing to measure: neither tables nor cost"
    for plan in suite.tables:
        where = f"table {plan.table} on {plan.log}"
        if plan.table == "2" and not (plan.models and plan.encoder):
            return f"{where} needs models and an encoder"
        if plan.table != "2" and not plan.rows:
            return f"{where} has no rows"
    return ""


def _passed_over(suite: Suite) -> str:
    """Seeds of single rows, and trainings that the next one would not start from."""
    changes = [(f"log {name}", log.change) for name, log in suite.logs.items()]
    changes += [(f"model {name}", model.change) for name, model in suite.models.items()]
    changes += [(f"row {row.label}", row.change) for plan in suite.tables for row in plan.rows]
    changes += [(f"encoder {name}", step.change) for name, steps in suite.encoders.items() for step in steps]
    wrong = next((where for where, change in changes if "seed" in change), None)
    if wrong is not None:
        return f"{wrong} changes the seed; a suite's seeds are in 'seeds'"
    late = next((name for name, steps in suite.encoders.items() if "pretrain" in [s.stage for s in steps[1:]]), None)
    return (
        "" if late is None else f"encoder {late}: pretrain starts from plain towers, so it can only be the first step"
    )


def _unknown_name(suite: Suite) -> str:
    uses = [("base", suite.base, suite.models)]
    for plan in suite.tables:
        where = f"table {plan.table} on {plan.log}"
        uses += [(where, plan.log, suite.logs), *((where, name, suite.models) for name in plan.models)]
        if not any(known is suite.models and name not in known for _, name, known in uses):
            uses += [(where, row.encoder, suite.encoders) for row in rows_of(suite, plan) if row.encoder]
            uses += [(where, row.model, suite.models) for row in plan.rows if row.model]
    if suite.cost is not None:
        cost = suite.cost
        uses += [("cost", cost.log, suite.logs), ("cost", cost.model, suite.models)]
        uses += [("cost", cost.encoder, suite.encoders)]
    uses += [("claims", claim.log, suite.logs) for claim in suite.claims]
    wrong = next(((where, name, known) for where, name, known in uses if name not in known), None)
    return "" if wrong is None else f"{wrong[0]} names {wrong[1]!r}; there are {', '.join(wrong[2]) or 'none'}"
