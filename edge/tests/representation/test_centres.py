"""What holds for every centre, whatever keeps its vectors."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from centres import LAYOUT

from rapport_edge.representation import (
    CentreError,
    CentreFormat,
    Counts,
    OtherEncoderError,
    open_centre,
    open_writer,
    source_hash,
)
from rapport_edge.representation.addresses import without_password

ONE = np.arange(4.0)


def test_a_new_item_is_usable_at_once_by_writer_and_readers(where, create):
    writer = create()
    reader = open_centre(where, LAYOUT.encoder)
    writer.put(["a", "ü" * 30], [ONE, ONE + 1], ["s1", "s2"])
    for centre in (writer, reader):
        rows = centre.lookup(["b", "ü" * 30, "a", "a"])
        assert rows.found.tolist() == [False, True, True, True]
        assert rows.vectors.tolist() == [[0] * 4, (ONE + 1).tolist(), ONE.tolist(), ONE.tolist()]
        assert rows.vectors.dtype == np.float32
        assert centre.sources(["a", "b"]) == ["s1", None]
    version = writer.publish()
    assert reader.lookup(["a"]).found.all()
    assert reader.counts() == Counts(2, 0, version)
    assert writer.publish() >= version
    reader.close()


def test_what_is_put_again_replaces(where, create):
    writer = create()
    writer.put(["a"], [ONE], ["s1"])
    writer.publish()
    writer.put(["a", "b"], [ONE * 2, ONE], ["s2", "s3"])
    writer.publish()
    assert writer.lookup(["a"]).vectors.tolist() == [(ONE * 2).tolist()]
    assert writer.sources(["a"]) == ["s2"]
    assert writer.counts().items == 2


def test_nothing_asked_nothing_answered(create):
    rows = create().lookup([])
    assert (rows.vectors.shape, rows.found.shape) == ((0, 4), (0,))


def test_another_encoders_table_is_refused_with_both_digests(where, create):
    create().put(["a"], [ONE], ["s"])
    with pytest.raises(OtherEncoderError, match=f"{LAYOUT.encoder}, not of bb"):
        open_centre(where, "bb")


def test_another_shape_is_refused(where, create):
    create().close()
    with pytest.raises(OtherEncoderError, match="bb"):
        create(CentreFormat(encoder="bb", dimension=4))
    with pytest.raises(CentreError, match="4 values in float32, not of 5 in float16"):
        create(CentreFormat(encoder=LAYOUT.encoder, dimension=5, storage="float16"))


@pytest.mark.parametrize(
    ("ids", "vectors", "match"),
    [
        (["a", "b"], [ONE, ONE * np.nan], "'b' holds NaN"),
        (["a", "b"], [ONE + np.inf, ONE], "'a' holds NaN or infinity"),
        (["a"], [np.ones(5)], "4 values"),
        (["a", "b"], [ONE], "2 ids"),
        (["a", "b"], [ONE, ONE[:3]], "the vectors make no matrix"),
        (["a"], [ONE * 1j], "vectors are real numbers, not complex"),
        (["a"], [["1", "2", "3", "4"]], "vectors are real numbers, not <U1"),
        (["a"], [[None] * 4], "vectors are real numbers, not object"),
        (["a", "a"], [ONE, ONE], "'a' is there 2 times"),
        (["a", ""], [ONE, ONE], "not empty"),
    ],
)
def test_what_is_wrong_is_refused_whole(create, ids, vectors, match):
    centre = create()
    with pytest.raises(CentreError, match=match):
        centre.put(ids, vectors, ["s"] * len(ids))
    assert centre.counts().items == 0


def test_half_precision_refuses_what_it_cannot_hold(create):
    centre = create(CentreFormat(encoder="cc", dimension=4, storage="float16"))
    with pytest.raises(CentreError, match="too large for float16"):
        centre.put(["a"], [ONE * 1e5], ["s"])
    centre.put(["a"], [ONE / 3], ["s"])
    centre.publish()
    assert (centre.lookup(["a"]).vectors == (ONE / 3).astype(np.float16)).all()


@pytest.mark.parametrize(
    ("layout", "match"),
    [
        (CentreFormat(encoder="", dimension=4), "digest"),
        (CentreFormat(encoder="a" * 257, dimension=4), "256 characters"),
        (CentreFormat(encoder="a", dimension=0), "65,536"),
        (CentreFormat(encoder="a", dimension=4, storage="float64"), "float64"),
    ],
)
def test_an_impossible_format_is_refused(create, layout, match):
    with pytest.raises(CentreError, match=match):
        create(layout)


def test_there_must_be_a_centre_to_read(tmp_path, redis_url):
    with pytest.raises(CentreError, match="no representation centre"):
        open_centre(tmp_path)
    with pytest.raises(CentreError, match="no representation centre of the name 'films'"):
        open_centre(redis_url)


def test_the_client_library_is_named_where_it_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(CentreError, match="pip install"):
        open_centre("redis://localhost/0")


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("redis://127.0.0.1:1/0", "is the server running"),
        ("redis://localhost:port", "no address"),
        ("unix:///no/s", "running"),
    ],
)
def test_a_server_that_is_not_there(url, match):
    pytest.importorskip("redis")
    with pytest.raises(CentreError, match=match):
        open_centre(url)


def test_a_server_without_memory_says_so(redis_url, redis_socket):
    import redis

    centre = open_writer(redis_url, LAYOUT)
    client = redis.Redis(unix_socket_path=str(redis_socket))
    client.config_set("maxmemory", "1kb")
    try:
        with pytest.raises(CentreError, match="no memory left"):
            centre.put(["a"], [ONE], ["s"])
    finally:
        client.config_set("maxmemory", "0")
    assert not centre.lookup(["a"]).found.any()
    client.set("rapport:films:v:b", b"short")
    with pytest.raises(CentreError, match="something else wrote it"):
        centre.lookup(["b"])
    centre.close()


@pytest.mark.parametrize(
    ("policy", "maxmemory", "evicts"),
    [
        ("allkeys-lru", "100mb", True),
        ("allkeys-random", "100mb", True),
        ("allkeys-lru", "0", False),
        ("volatile-lru", "100mb", False),
        ("noeviction", "100mb", False),
    ],
)
def test_a_server_that_evicts_is_refused_for_writing(redis_url, redis_socket, policy, maxmemory, evicts):
    import redis

    client = redis.Redis(unix_socket_path=str(redis_socket))
    client.config_set("maxmemory", maxmemory)
    client.config_set("maxmemory-policy", policy)
    try:
        if evicts:
            with pytest.raises(CentreError, match=f"drops items .*maxmemory-policy {policy}.*; set it to noeviction"):
                open_writer(redis_url, LAYOUT)
            assert client.dbsize() == 0
        else:
            open_writer(redis_url, LAYOUT).close()
    finally:
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")


def test_centres_of_one_server_are_apart(redis_url):
    films, games = open_writer(redis_url, LAYOUT), open_writer(redis_url.replace("films", "games"), LAYOUT)
    films.put(["a"], [ONE], ["s"])
    assert not games.lookup(["a"]).found.any()
    films.close()
    games.close()


def test_a_server_that_forgot_everything_is_noticed(redis_url, redis_socket):
    import redis

    centre = open_writer(redis_url, LAYOUT)
    centre.put(["a"], [ONE], ["s"])
    redis.Redis(unix_socket_path=str(redis_socket)).flushall()
    calls = [
        lambda: centre.lookup(["a"]),
        lambda: centre.put(["b"], [ONE], ["s"]),
        lambda: centre.sources(["a"]),
        centre.counts,
        centre.publish,
    ]
    for call in calls:
        with pytest.raises(CentreError, match="lost it in a restart"):
            call()
    other = open_writer(redis_url, CentreFormat(encoder="bb", dimension=4))
    other.put(["a"], [ONE], ["s"])
    for call in calls:
        with pytest.raises(OtherEncoderError, match=f"of encoder bb, not of {LAYOUT.encoder}"):
            call()
    assert not other.lookup(["b"]).found.any()
    other.close()
    centre.close()


def test_a_server_that_falls_silent_is_given_up(redis_url, redis_server):
    open_writer(redis_url, LAYOUT).close()
    # Connects when it is opened, and asks again when the server goes on: a busy machine may take a while for either.
    centre = open_centre(f"{redis_url}&socket_timeout=2")
    redis_server.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(CentreError, match="Timeout"):
            centre.lookup(["a"])
    finally:
        redis_server.send_signal(signal.SIGCONT)
    assert not centre.lookup(["a"]).found.any()
    centre.close()


def test_what_cannot_be_an_id_may_be_asked_for(create):
    centre = create()
    centre.put(["a"], [ONE], ["s"])
    assert centre.lookup(["\ud800", "a\0b", "a"]).found.tolist() == [False, False, True]
    assert centre.lookup(np.array([b"\xff", b"a"])).found.tolist() == [False, True]
    assert centre.sources(["\ud800", "a"]) == [None, "s"]


def test_single_precision_names_itself_where_it_is_too_small(create):
    with pytest.raises(CentreError, match="too large for float32; 1 of 1"):
        create().put(["a"], [ONE * 1e300], ["s"])


def test_no_password_is_shown(redis_url):
    pytest.importorskip("redis")
    for url in (f"{redis_url}&password=secret", "redis://me:secret@127.0.0.1:1/0", "unix:///no/s?password=secret"):
        with pytest.raises(CentreError) as caught:
            open_centre(url)
        assert "secret" not in str(caught.value)
    assert without_password("redis://me:secret@h:1/0?username=me&centre=a&password=b") == "redis://h:1/0?centre=a"
    assert without_password("a@b?password=c") == "a@b?password=c"


def test_a_path_is_a_folder_whatever_its_name():
    with pytest.raises(CentreError, match="no representation centre in redis:/fleet"):
        open_centre(Path("redis://fleet:6379/0"))


def test_sources_tell_titles_and_pictures_apart():
    assert source_hash("a", None) != source_hash("a", b"")
    assert source_hash("ab", b"c") != source_hash("a", b"bc")
    assert source_hash("a", b"p") == source_hash("a", b"p")
