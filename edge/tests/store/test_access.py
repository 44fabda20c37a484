"""What is handed out about a person, and the log of who asked."""

from __future__ import annotations

import json

import pytest
from people import remember

from rapport_edge.errors import StoreError
from rapport_edge.store import EventKind, InteractionKind, InteractionRecord
from rapport_edge.store.export import write_private


def test_an_export_has_everything_and_says_so_in_the_log(store, events):
    remember(store, "p")
    store.introduce("p", "Ada")
    store.add_interaction("p", InteractionRecord(item_id="x", kind=InteractionKind.LIKED))
    document = json.loads(store.export("p", "operator:eve"))
    assert document["format"] == "rapport-profile-export"
    assert document["profile"]["name"] == "Ada"
    assert document["consent_history"][0]["consent"] == "granted"
    assert len(document["embeddings"][0]["vector"]) == 64
    assert document["interactions"][0]["item_id"] == "x"
    assert document["audit"][0]["actor"] == "operator:eve"
    assert events[-1].kind is EventKind.EXPORTED


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "export.json"
    write_private(target, b"{}")
    assert target.read_bytes() == b"{}"
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="nowhere"):
        write_private(tmp_path / "nowhere" / "export.json", b"{}")
    assert [file.name for file in tmp_path.iterdir()] == ["export.json"]


def test_requests_of_others_can_be_logged(store):
    store.see("person_1")
    for user_id, noted in (("person_1", "person_1"), ("Ada", ""), ("x" * 100_000, "")):
        store.record_request("operator", "rank", user_id, "refused")
        assert store.audit_log()[0].user_id == noted
    store.record_request("operator", "find", "", "3 persons")
    assert store.audit_log()[0].outcome == "3 persons"
    with pytest.raises(StoreError, match="actor"):
        store.record_request("", "find", "", "")
