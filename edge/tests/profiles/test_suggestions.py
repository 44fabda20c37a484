"""What a profile suggests: ranked when behaviour changes, for who agreed, and forgotten with the person."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from house import House, estimate
from tiny_ranker import write_ranker

from rapport_edge.profiles.item_ranking import ItemRanking, RankSettings
from rapport_edge.profiles.suggestions import RETRY_AFTER, suggestions_of
from rapport_edge.profiles.summary import summarise
from rapport_edge.ranking import RankingError
from rapport_edge.store import Consent, InteractionKind, InteractionRecord


class CountedRanking(ItemRanking):
    """Counts rankings; fails while it is told to, and lets something happen during one."""

    rankings = 0
    failing: Exception | None = None
    meanwhile: Callable[[], None] | None = None

    def rank(self, *arguments: Any) -> Any:
        self.rankings += 1
        if self.failing is not None:
            raise self.failing
        ranking = super().rank(*arguments)
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            happening()
        return ranking


@pytest.fixture
def ranking(tmp_path: Path) -> CountedRanking:
    return CountedRanking(RankSettings(bundle_path=str(write_ranker(tmp_path / "ranker").path)))


@pytest.fixture
def house(tmp_path: Path, ranking: CountedRanking) -> House:
    house = House(tmp_path / "profiles.sqlite", ranking)
    house.store.observe("ada", estimate(), "e1")
    house.people.set_consent("ada", Consent.GRANTED, "self", "said yes")
    return house


def does(house: House, item: str, kind: InteractionKind = InteractionKind.LIKED) -> None:
    house.store.add_interaction("ada", InteractionRecord(item_id=item, kind=kind))
    house.people.behaved("ada")


def suggested(house: House) -> list[str]:
    house.people.profile("ada")
    house.renew()
    profile = house.people.profile("ada")
    assert profile is not None
    return [suggestion.item_id for suggestion in profile.suggestions]


def test_the_first_items_of_the_ranking_are_suggested_and_said(house):
    house.wait(1.0)
    house.publish()
    does(house, "stars")
    house.wait(1.0)
    assert house.publish()["ada"].suggestions == ()
    assert house.renew() == ["ada"]
    house.wait(1.0)
    profile = house.publish()["ada"]
    assert [(s.rank, s.item_id, s.title) for s in profile.suggestions] == [
        (1, "stars", "Stars"),
        (2, "planets", "Planets"),
    ]
    assert profile.suggestions[1].reason == "resembles Stars (0.80)"
    assert "Could be offered Stars and Planets." in summarise(profile)


def test_items_are_ranked_only_when_behaviour_has_changed(house, ranking):
    assert suggested(house) == []  # nobody's favourites are no suggestion for this person
    before = ranking.rankings
    does(house, "stars")
    assert [suggested(house) for _ in range(5)] == [["stars", "planets"]] * 5
    assert ranking.rankings == before + 1
    does(house, "soup")
    does(house, "stars", InteractionKind.DISLIKED)
    assert suggested(house) == ["soup", "bread"]
    assert ranking.rankings == before + 2


def test_who_withdraws_or_is_forgotten_is_suggested_nothing(house):
    does(house, "stars")
    assert suggested(house)
    house.people.set_consent("ada", Consent.WITHDRAWN, "self", "said no")
    assert suggested(house) == []
    house.people.set_consent("ada", Consent.GRANTED, "self", "said yes")
    assert suggested(house) == []
    does(house, "soup")
    assert suggested(house) == ["soup", "bread"]
    house.store.forget("ada", "self")
    assert "ada" not in house.suggestions._made


def test_a_merged_person_is_suggested_what_both_behaviours_say(house):
    house.store.observe("eve", estimate(), "e2")
    house.people.set_consent("eve", Consent.GRANTED, "self", "said yes")
    does(house, "soup")
    merged = house.people.merge("eve", "ada", "operator")
    house.renew()
    found = house.people.profile("eve")
    assert found.user_id == merged.user_id
    assert [suggestion.item_id for suggestion in found.suggestions] == ["soup", "bread"]


@pytest.mark.parametrize(
    ("error", "said"),
    [(RankingError("the table is damaged"), "the table is damaged"), (IndexError("row 7"), "IndexError: row 7")],
)
def test_a_ranking_that_fails_leaves_the_profile_and_is_not_tried_with_each(house, ranking, error, said):
    ranking.failing = error
    before = ranking.rankings
    does(house, "stars")
    assert [suggested(house) for _ in range(3)] == [[]] * 3
    assert ranking.rankings == before + 1
    assert house.suggestions.last_failure == said
    house.now += RETRY_AFTER
    assert [suggested(house) for _ in range(3)] == [[]] * 3
    assert ranking.rankings == before + 2
    ranking.failing = None
    does(house, "planets")
    assert suggested(house) == ["planets", "stars"]


def test_what_failed_for_a_moment_is_made_good(house, ranking):
    ranking.failing = RankingError("the server does not answer")
    does(house, "stars")
    assert suggested(house) == []
    ranking.failing = None
    house.now += RETRY_AFTER - 1
    assert suggested(house) == []
    house.now += 1
    assert suggested(house) == ["stars", "planets"]


def test_without_a_ranker_or_with_none_wanted_there_are_none(house, ranking):
    assert suggestions_of(house.store, ItemRanking(RankSettings()), 3) is None
    assert suggestions_of(house.store, ranking, 0) is None


def test_what_happens_during_a_ranking_is_not_lost(house, ranking):
    does(house, "stars")
    house.people.profile("ada")
    ranking.meanwhile = lambda: does(house, "soup")
    assert house.suggestions.renew("ada")
    assert suggested(house) == ["soup", "stars"]


@pytest.mark.parametrize("end", ["forget", "withdraw"])
def test_a_ranking_that_ends_too_late_leaves_nothing_behind(house, ranking, end):
    does(house, "stars")
    house.people.profile("ada")

    def meanwhile() -> None:
        if end == "forget":
            house.store.forget("ada", "self")
        else:
            house.people.set_consent("ada", Consent.WITHDRAWN, "self", "said no")

    ranking.meanwhile = meanwhile
    assert not house.suggestions.renew("ada")
    assert house.suggestions._made == {}


def test_nobody_waits_for_a_ranking_of_an_unchanged_history(house):
    does(house, "stars")
    assert suggested(house)
    assert house.suggestions.outdated(0.0) is None
    assert not house.suggestions.renew("ada")


def test_many_threads_see_the_suggestions_of_the_last_behaviour(house):
    """Renewing, reading and changing at the same time."""
    items = ["stars", "soup", "planets", "bread"] * 5
    with ThreadPoolExecutor(4) as threads:
        for item in items:
            does(house, item)
            for _ in range(2):
                threads.submit(house.suggestions.of, house.store.get("ada"))
                threads.submit(house.suggestions.renew, "ada")
    last = suggested(house)
    fresh = suggestions_of(house.store, house.suggestions._ranking, 2, lambda: house.now)
    record = house.store.get("ada")
    fresh.of(record)
    assert fresh.renew("ada")
    assert [suggestion.item_id for suggestion in fresh.of(record)] == last
