"""Which items are drawn as negatives."""

from __future__ import annotations

from behaviour_logs import Event, write_events
from prepared_samples import samples_of

from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.settings import PrepareSettings


def test_negatives_depend_on_the_seed_and_nothing_else(tmp_path):
    events = [Event(user, item, t) for t, (user, item) in enumerate(zip("uvwxy" * 10, "abcdefghij" * 5, strict=True))]
    log = write_events(tmp_path / "log", events)

    def drawn(name: str, seed: int) -> list:
        prepared = prepare(log, PrepareSettings(negatives=2, seed=seed), tmp_path / name)
        return [row[1:5] for row in samples_of(prepared)]

    assert drawn("1", 0) == drawn("2", 0) != drawn("3", 1)


def test_popular_items_are_drawn_more_often_when_asked_for(tmp_path):
    events = [Event(f"u{t}", "hit", t) for t in range(180)]
    events += [Event(f"v{t}", "rare", t) for t in range(20)]
    events += [Event(f"w{t}", "third", t) for t in range(200)]
    log = write_events(tmp_path / "log", events)

    def share(by: str) -> float:
        prepared = prepare(log, PrepareSettings(negatives=4, negatives_by=by), tmp_path / by)
        negative = [row[2] for row in samples_of(prepared) if row[1][0] == "w" and row[3] == 0]
        return negative.count("hit") / len(negative)

    assert abs(share("uniform") - 0.5) < 0.08
    assert abs(share("popularity") - 0.9) < 0.08


def test_a_user_who_met_everything_gets_no_negatives(tmp_path):
    events = [Event("anna", item, t) for t, item in enumerate("abcdefgh")] + [Event("bert", "a", t) for t in range(9)]
    prepared = prepare(write_events(tmp_path / "log", events), PrepareSettings(negatives=1), tmp_path / "out")
    assert not [row for row in samples_of(prepared) if row[1] == "anna" and row[3] == 0]
    assert prepared.record.counts["negatives that no item was left for"] >= 8
