"""What a profile suggests: ranked when behaviour changes, for who agreed, and forgotten with the person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from house import House, estimate
from tiny_ranker import write_ranker

from rapport_edge.profiles.item_ranking import ItemRanking, RankSettings
from rapport_edge.profiles.suggestions import suggestions_of
from rapport_edge.profiles.summary import summarise
from rapport_edge.ranking import RankingError
from rapport_edge.store import Consent, InteractionKind, InteractionRecord


class CountedRanking(ItemRanking):
    """Counts rankings; fails while it is told to."""

    rankings, failing = 0, False

    def rank(self, *arguments: Any) -> Any:
        self.rankings += 1
        if self.failing:
            raise RankingError("the table is damaged")
        return super().rank(*arguments)


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
    profile = house.people.profile("ada")
    assert profile is not None
    return [suggestion.item_id for suggestion in profile.suggestions]


def test_the_first_items_of_the_ranking_are_suggested_and_said(house):
    house.wait(1.0)
    house.publish()
    does(house, "stars")
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
    assert "ada" not in house.people._suggestions._made


def test_a_merged_person_is_suggested_what_both_behaviours_say(house):
    house.store.observe("eve", estimate(), "e2")
    house.people.set_consent("eve", Consent.GRANTED, "self", "said yes")
    does(house, "soup")
    merged = house.people.merge("eve", "ada", "operator")
    assert merged == house.people.profile("eve")
    assert [suggestion.item_id for suggestion in merged.suggestions] == ["soup", "bread"]


def test_a_ranking_that_fails_leaves_the_profile_and_is_not_tried_with_each(house, ranking):
    ranking.failing = True
    before = ranking.rankings
    does(house, "stars")
    assert [suggested(house) for _ in range(3)] == [[]] * 3
    assert ranking.rankings == before + 1
    assert house.people._suggestions.last_failure == "the table is damaged"
    ranking.failing = False
    does(house, "planets")
    assert suggested(house) == ["planets", "stars"]


def test_without_a_ranker_or_with_none_wanted_there_are_none(house, ranking):
    assert suggestions_of(house.store, ItemRanking(RankSettings()), 3) is None
    assert suggestions_of(house.store, ranking, 0) is None
