"""What a bundle's manifest and card say besides what the model itself tells."""

from __future__ import annotations

from rapport_edge.errors import SettingsError
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.evaluation import evaluate_ctr
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepare import settings_of
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.export.card import CardFacts


def with_figures(facts: CardFacts, model: CtrModel, prepared: PreparedLog, content: ContentTable | None) -> CardFacts:
    """The facts with figures of the test split and with the leakage check."""
    from rapport_training.interest.data.leakage import leakage_report

    _, found = evaluate_ctr(model, prepared, "test", content)
    return CardFacts(facts.name, facts.version, facts.licence, found, leakage_report(prepared).line())


def licence_of(prepared: PreparedLog, log: BehaviourLog | None) -> str:
    """The data's licence, as its log states it.

    Raises:
        SettingsError: if it is the log of other data, or has changed since.
    """
    if log is None:
        return "not stated"
    if settings_of(prepared, log) is None:
        raise SettingsError(
            f"{log.path} is not the log that {prepared.path} was prepared from, or has changed since: names of values "
            "would be wrong; leave --log out, or prepare it and train again"
        )
    return log.record.licence or "not stated"
