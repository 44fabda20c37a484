"""Heads that infer what the law protects run only with an operator's policy for that very bundle."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest
from tiny_bundle import age_head, contents, gender_head, manifest, race_head, write_tiny

from rapport_edge.bundle import Bundle, Policy, default_bundle_path, load_bundle, load_policy, write_bundle
from rapport_edge.bundle.manifest import Head
from rapport_edge.bundle.sensitive import is_sensitive
from rapport_edge.errors import BundleError

REASON = "bias measurement in a closed laboratory, approved by the ethics board"


@pytest.fixture
def race_bundle(tmp_path: Path) -> Bundle:
    return write_tiny(tmp_path / "race", gender_head(), race_head(), sensitive=("race",))


def _policy(made_for: Bundle, **changes: object) -> Policy:
    fields = {
        "allow": ["race"],
        "reason": REASON,
        "operator": "A. Person",
        "date": "2026-01-02",
        "bundle": made_for.manifest_digest,
    }
    return msgspec.convert({**fields, **changes}, Policy)


def test_a_policy_allows_what_it_names(race_bundle: Bundle) -> None:
    assert load_bundle(race_bundle.path, _policy(race_bundle)).sensitive_parts == ("race",)


def test_a_policy_is_for_one_bundle_and_its_heads(race_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="policy is for the bundle 0000"):
        load_bundle(race_bundle.path, _policy(race_bundle, bundle="0" * 64))
    with pytest.raises(BundleError, match="does not allow race; it allows religion"):
        load_bundle(race_bundle.path, _policy(race_bundle, allow=["religion"]))
    with pytest.raises(BundleError, match=r"Article 5\(1\)\(g\)"):
        load_bundle(race_bundle.path)


def test_reads_a_policy_file(race_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(msgspec.json.encode(_policy(race_bundle)))
    assert load_bundle(race_bundle.path, load_policy(path)).digest == race_bundle.digest


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reason": "yes"}, "reason"),
        ({"operator": "  "}, "operator"),
        ({"allow": []}, "allow"),
        ({"date": "2026-13-01"}, "month"),
        ({"date": (datetime.date.today() + datetime.timedelta(days=9)).isoformat()}, "future"),
        ({"bundle": "abc"}, "bundle"),
        ({"extra": 1}, "unknown field"),
    ],
)
def test_refuses_a_policy_that_says_too_little(
    race_bundle: Bundle, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(msgspec.json.encode({**msgspec.to_builtins(_policy(race_bundle)), **changes}))
    with pytest.raises(BundleError, match=reason):
        load_policy(path)


def test_says_that_a_policy_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot read the policy file"):
        load_policy(tmp_path / "absent.json")


def test_a_bundle_gets_a_sensitive_head_only_by_name(tmp_path: Path) -> None:
    described = manifest(gender_head(), race_head())
    with pytest.raises(BundleError, match="asks for them by name"):
        write_bundle(tmp_path / "race", described, contents(described))
    assert not (tmp_path / "race").exists()


def _gender_as(*labels: str, name: str = "gender") -> Head:
    prompts = {label: (label,) for label in labels}
    return msgspec.structs.replace(gender_head(), name=name, labels=labels, prompts=prompts)


@pytest.mark.parametrize(
    "head",
    [
        race_head(),
        _gender_as("Chinese", "Japanese", "European"),
        _gender_as("Male", "Female", "Jewish"),
        _gender_as("dark", "fair", name="complexion"),
        _gender_as("straight", "queer", name="partner"),
        _gender_as(*age_head().labels, name="age"),
        msgspec.structs.replace(gender_head(), name="Gender"),
        msgspec.structs.replace(age_head(), name="gender"),
        msgspec.structs.replace(age_head(), labels=("White", *age_head().labels[1:])),
    ],
)
def test_any_other_head_needs_a_policy(head: Head) -> None:
    assert is_sensitive(head)


def test_age_and_gender_need_none() -> None:
    assert not is_sensitive(age_head())
    assert not is_sensitive(gender_head())
    assert not is_sensitive(_gender_as("Female", "Male"))


def test_the_installed_bundle_needs_none() -> None:
    assert load_bundle(default_bundle_path()).sensitive_parts == ()
