"""The store against a plain dictionary: any sequence of calls leaves both in agreement."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from people import DIGEST, FakeClock, estimate, unit

from rapport_edge.store import (
    REFUSALS,
    Consent,
    ConsentError,
    InteractionKind,
    InteractionRecord,
    PreferenceRecord,
    ProfileStore,
    UnknownUserError,
)
from rapport_edge.store.consent import STRENGTH, TRANSITIONS

MEMORY = Path("/dev/shm")
USERS = [f"p{number}" for number in range(5)]
users = st.sampled_from(USERS)


class StoreMachine(RuleBasedStateMachine):
    """The model: per person consent, times, topics, items and whether there is an embedding; and aliases."""

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.path = Path(self.folder.name) / "profiles.db"
        self.clock = FakeClock()
        self.store = ProfileStore(self.path, clock=self.clock)
        self.people: dict[str, dict] = {}
        self.aliases: dict[str, str] = {}
        self.encounters = 0

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def resolve(self, user_id):
        return user_id if user_id in self.people else self.aliases.get(user_id)

    @rule(seconds=st.floats(0, 1e4))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(user=users, female=st.floats(0, 1), observations=st.integers(1, 50))
    def observe(self, user, female, observations):
        self.encounters += 1
        seed = USERS.index(user)
        self.store.observe(user, estimate(female, observations, seed), f"e{self.encounters}")
        known = self.resolve(user)
        if known is None:
            known = user
            now = self.clock.now
            self.people[user] = {
                "consent": Consent.UNKNOWN, "created": now, "first": now, "topics": {}, "items": [], "seen": set()
            }  # fmt: skip
        person = self.people[known]
        if person["consent"] not in REFUSALS:
            person["seen"].add(seed)

    @rule(user=users, consent=st.sampled_from(Consent))
    def decide(self, user, consent):
        known = self.resolve(user)
        if known is None:
            with pytest.raises(UnknownUserError):
                self.store.set_consent(user, consent, "self")
            return
        person = self.people[known]
        if consent is not person["consent"] and consent not in TRANSITIONS[person["consent"]]:
            with pytest.raises(ConsentError):
                self.store.set_consent(user, consent, "self")
            return
        self.store.set_consent(user, consent, "self")
        if consent in REFUSALS and consent is not person["consent"]:
            self.wipe(known)
        person["consent"] = consent

    def wipe(self, known):
        now = self.clock.now
        self.people[known].update(created=now, first=now, topics={}, items=[], seen=set())
        self.aliases = {alias: target for alias, target in self.aliases.items() if target != known}

    @rule(user=users, topic=st.sampled_from(["jazz", "tea"]), strength=st.floats(-1, 1), item=st.integers(0, 9))
    def learn(self, user, topic, strength, item):
        known = self.resolve(user)
        preference = PreferenceRecord(topic=topic, strength=strength, confidence=0.5)
        interaction = InteractionRecord(item_id=str(item), kind=InteractionKind.LIKED)
        if known is None or self.people[known]["consent"] in REFUSALS:
            with pytest.raises((UnknownUserError, ConsentError)):
                self.store.set_preference(user, preference)
            with pytest.raises((UnknownUserError, ConsentError)):
                self.store.add_interaction(user, interaction)
            return
        self.store.set_preference(user, preference)
        self.store.add_interaction(user, interaction)
        self.people[known]["topics"][topic] = (self.clock.now, strength)
        self.people[known]["items"].append(str(item))

    @rule(user=users)
    def forget(self, user):
        known = self.resolve(user)
        if known is None:
            with pytest.raises(UnknownUserError):
                self.store.forget(user, "self")
            return
        assert self.store.forget(user, "self").traces_erased
        del self.people[known]
        self.aliases = {alias: target for alias, target in self.aliases.items() if target != known}

    @rule(first=users, second=users)
    def merge(self, first, second):
        one, two = self.resolve(first), self.resolve(second)
        if one is None or two is None or one == two:
            return
        kept, gone = sorted((one, two), key=lambda u: (self.people[u]["created"], u))
        self.store.merge(first, second, "operator")
        mine, theirs = self.people[kept], self.people.pop(gone)
        consent = max(mine["consent"], theirs["consent"], key=STRENGTH.index)
        mine["first"] = min(mine["first"], theirs["first"])
        mine["items"] += theirs["items"]
        mine["seen"] |= theirs["seen"]
        for topic, value in theirs["topics"].items():
            if topic not in mine["topics"] or value[0] > mine["topics"][topic][0]:
                mine["topics"][topic] = value
        self.aliases = {alias: kept if target == gone else target for alias, target in self.aliases.items()}
        if consent in REFUSALS:
            self.wipe(kept)
        self.aliases[gone] = kept
        mine["consent"] = consent

    @rule()
    def reopen(self):
        self.store.close()
        self.store = ProfileStore(self.path, clock=self.clock)
        self.people = {u: p for u, p in self.people.items() if p["consent"] is Consent.GRANTED}
        self.aliases = {alias: target for alias, target in self.aliases.items() if target in self.people}

    @rule(user=users)
    def export(self, user):
        known = self.resolve(user)
        if known is None:
            return
        document = json.loads(self.store.export(user, "self"))
        assert document["profile"]["user_id"] == known
        assert sorted(i["item_id"] for i in document["interactions"]) == sorted(self.people[known]["items"])
        assert set(document["aliases"]) == {a for a, target in self.aliases.items() if target == known}

    @invariant()
    def agree(self):
        if not hasattr(self, "store"):
            return
        assert self.store.profiles().total == len(self.people)
        for user_id in USERS:
            known, profile = self.resolve(user_id), self.store.find(user_id)
            assert (profile is None) is (known is None)
            if profile is None:
                continue
            person = self.people[known]
            assert profile.user_id == known
            assert profile.consent is person["consent"]
            assert profile.anonymous is (person["consent"] is not Consent.GRANTED)
            assert profile.first_seen == person["first"] <= profile.last_seen
            assert {p.topic: p.strength for p in profile.preferences} == {
                topic: strength for topic, (_, strength) in person["topics"].items()
            }
            assert bool(profile.demographics) is bool(person["seen"])

    @invariant()
    def only_persons_with_consent_are_found(self):
        if not hasattr(self, "store"):
            return
        expected = {u for u, p in self.people.items() if p["consent"] is Consent.GRANTED and p["seen"]}
        assert {match.user_id for match in self.store.candidates(unit(0), DIGEST, 100)} == expected


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
