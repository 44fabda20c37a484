"""What a suite claims of Table 2, and whether it came out."""

from __future__ import annotations

from rapport_training.interest.tables.record import ClaimOutcome, Record, TableRecord
from rapport_training.interest.tables.result import gain
from rapport_training.interest.tables.suite import Claim
from rapport_training.interest.tables.table import auc, auc_known, auc_new, base_jobs

Gains = dict[str, tuple[float, "float | None", "float | None"]]


def outcomes(record: Record) -> list[ClaimOutcome]:
    """Of every claim on a log whose Table 2 was measured, at least in part."""
    tables = {table.log: table for table in record.tables if table.table == "2"}
    found = [(claim, gains_of(record, tables[claim.log])) for claim in record.suite.claims if claim.log in tables]
    return [_outcome(record, claim, gains) for claim, gains in found if gains]


def gains_of(record: Record, table: TableRecord) -> Gains:
    """By model the mean gain in AUC: all test samples, new items, known items."""
    found: Gains = {}
    for row in table.rows:
        base = base_jobs(table, row)
        if not base or len(base) != len(row.jobs):
            continue
        whole, new, known = (gain(record.results, row.jobs, base, metric) for metric in (auc, auc_new, auc_known))
        if whole is not None:
            found[row.label.partition(",")[0]] = (whole.mean, new and new.mean, known and known.mean)
    return found


def _outcome(record: Record, claim: Claim, gains: Gains) -> ClaimOutcome:
    enough = [name for name, (whole, _, _) in gains.items() if whole >= claim.gain]
    mostly_new = [name for name, (_, new, known) in gains.items() if new is not None and new > (known or 0.0)]
    wanted = f"at least {claim.gain:+.3f} AUC with MIM" + (", most of it on new items" if claim.mostly_new else "")
    sentence = f"{record.suite.logs[claim.log].title}: {wanted}: {len(enough)} of {len(gains)} models"
    if claim.mostly_new:
        sentence += f"; more on new than on known items: {len(mostly_new)} of {len(gains)}"
    listed = ", ".join(f"{name} {whole:+.4f}" for name, (whole, _, _) in gains.items())
    return ClaimOutcome(
        sentence=f"{sentence} ({listed})",
        gains=gains,
        holds=len(enough) == len(gains) and (not claim.mostly_new or len(mostly_new) == len(gains)),
    )
