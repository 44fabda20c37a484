"""Items for a person of the store: consent decides what the ranking rests on."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import House, estimate
from tiny_ranker import write_ranker

from rapport_edge.errors import SettingsError
from rapport_edge.profiles.item_ranking import ItemRanking, RankSettings
from rapport_edge.ranking import InterestRanker, Item
from rapport_edge.store import Consent, InteractionKind, InteractionRecord, UnknownUserError

NOW = 1_700_000_000.0


@pytest.fixture
def ranking(tmp_path: Path) -> ItemRanking:
    return ItemRanking(RankSettings(bundle_path=str(write_ranker(tmp_path / "ranker").path)))


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path / "profiles.sqlite")
    house.store.observe("ada", estimate(), "e1")
    return house


def liked(house: House, *items: str) -> None:
    for item in items:
        house.store.add_interaction("ada", InteractionRecord(item_id=item, kind=InteractionKind.LIKED))


def ids(ranking, house, candidates=()):
    return [item.id for item in ranking.rank(house.store, "ada", candidates, None, NOW).items]


def test_who_agreed_gets_what_resembles_their_behaviour(house, ranking):
    house.store.set_consent("ada", Consent.GRANTED, "self")
    empty = ranking.rank(house.store, "ada", (), None, NOW)
    assert empty.remark.endswith("the person has no history yet")
    liked(house, "stars")
    found = ranking.rank(house.store, "ada", (), 2, NOW)
    assert ([item.id for item in found.items], found.remark) == (["stars", "planets"], "")
    assert found.items[1].reason == "resembles Stars (0.80)"
    assert ids(ranking, house, [Item(id="soup"), Item(id="new")]) == ["new", "soup"]


@pytest.mark.parametrize("consent", [Consent.UNKNOWN, Consent.NOTIFIED, Consent.DENIED])
def test_without_consent_no_behaviour_is_used(house, ranking, consent):
    liked(house, "soup", "soup", "stars")  # kept in memory while the person may still be asked
    if consent is not Consent.UNKNOWN:
        house.store.set_consent("ada", consent, "self")
    found = ranking.rank(house.store, "ada", (), None, NOW)
    assert [item.id for item in found.items] == ["bread", "soup", "planets", "stars", "new"]
    assert {item.reason for item in found.items} == {""}
    assert f"consent is {consent.value}" in found.remark


def test_who_withdraws_has_no_history_any_more(house, ranking):
    house.store.set_consent("ada", Consent.GRANTED, "self")
    liked(house, "stars")
    house.store.set_consent("ada", Consent.WITHDRAWN, "self")
    assert ids(ranking, house)[0] == "bread"


@pytest.mark.parametrize("decisions", [(Consent.WITHDRAWN,), (Consent.WITHDRAWN, Consent.GRANTED)])
def test_who_withdraws_during_a_ranking_is_ranked_without_what_was_deleted(house, ranking, monkeypatch, decisions):
    house.store.set_consent("ada", Consent.GRANTED, "self")
    liked(house, "stars", "soup")
    whole, waiting = InterestRanker.rank, list(decisions)

    def interrupted(*arguments, **options):
        items = whole(*arguments, **options)
        while waiting:
            house.store.set_consent("ada", waiting.pop(0), "self")
        return items

    monkeypatch.setattr(InterestRanker, "rank", interrupted)
    found = ranking.rank(house.store, "ada", (), None, NOW)
    assert {item.reason for item in found.items} == {""}
    assert found.remark.startswith("ranked as for somebody unknown")


def test_who_is_forgotten_during_a_ranking_is_nobody(house, ranking, monkeypatch):
    liked(house, "stars")
    whole = InterestRanker.rank

    def interrupted(*arguments, **options):
        house.store.forget("ada", "self")
        return whole(*arguments, **options)

    monkeypatch.setattr(InterestRanker, "rank", interrupted)
    with pytest.raises(UnknownUserError):
        ranking.rank(house.store, "ada", (), None, NOW)


def test_what_cannot_be_ranked_says_why(house, ranking):
    with pytest.raises(UnknownUserError):
        ranking.rank(house.store, "nobody", (), None, NOW)
    without = ItemRanking(RankSettings())
    assert "rank.bundle_path" in without.obstacle
    with pytest.raises(SettingsError, match="interest-ranker"):
        without.rank(house.store, "ada", (), None, NOW)
    with pytest.raises(SettingsError, match=r"rank\.centre names"):
        ItemRanking(RankSettings(centre="/somewhere"))
