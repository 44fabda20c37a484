"""New items: embedded once, usable at once, published in windows, forwarded to others."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from centres import LAYOUT

from rapport_edge.representation import (
    CentreError,
    CentreFormat,
    EmbeddedCentre,
    NewItem,
    OtherEncoderError,
    RealTimeInference,
    authority,
    forward,
    open_writer,
)


class Lengths:
    """An encoder whose vectors are the title's length; keeps the titles that it embedded."""

    digest, dimension = LAYOUT.encoder, LAYOUT.dimension

    def __init__(self):
        self.seen = []

    def embed(self, titles, images):
        assert len(titles) == len(images)
        self.seen += titles
        return [np.full(4, float(len(title))) for title in titles]


class Nonsense(Lengths):
    def embed(self, titles, images):
        return np.full((len(titles), 4), np.nan)


class Other(Lengths):
    digest = "bb"


class Wider(Lengths):
    dimension = 5


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def news(*ids: str, title: str = "title") -> list[NewItem]:
    return [NewItem(item, title, b"picture") for item in ids]


def test_an_item_is_embedded_once_per_source(create):
    centre, encoder = create(), Lengths()
    realtime = RealTimeInference(centre, encoder)
    assert realtime.add(news("a", "b")) == 2
    assert centre.lookup(["a", "b"]).vectors.tolist() == [[5.0] * 4] * 2
    assert realtime.add(news("a", "b", "c")) == 1
    assert realtime.add(news("b", title="another")) == 1
    assert realtime.add([]) == 0
    assert encoder.seen == ["title", "title", "title", "another"]


def test_windows_close_when_full_or_old(tmp_path):
    centre, clock = EmbeddedCentre(tmp_path, LAYOUT), Clock()
    realtime = RealTimeInference(centre, Lengths(), window_items=3, window_seconds=10.0, clock=clock)
    assert realtime.publish_due() is None
    clock.now = 100.0
    realtime.add(news("a"))
    assert realtime.publish_due() is None
    realtime.add(news("b", "c"))
    assert realtime.publish_due() == 1
    realtime.add(news("d"))
    clock.now = 109.9
    assert realtime.publish_due() is None
    clock.now = 110.0
    assert realtime.publish_due() == 2
    assert realtime.publish_due() is None
    assert centre.windows() == {1: "published", 2: "published", 3: "open"}
    centre.close()


def test_what_waited_when_the_process_died_is_published_by_the_next(tmp_path):
    centre = EmbeddedCentre(tmp_path, LAYOUT)
    RealTimeInference(centre, Lengths()).add(news("a"))
    centre.close()
    centre, clock = EmbeddedCentre(tmp_path, LAYOUT), Clock()
    realtime = RealTimeInference(centre, Lengths(), clock=clock)
    assert realtime.add(news("a")) == 0
    clock.now = 60.0
    assert realtime.publish_due() == 1
    centre.close()


def test_an_encoder_that_makes_nonsense_adds_nothing(create):
    realtime = RealTimeInference(create(), Nonsense())
    with pytest.raises(CentreError, match="NaN"):
        realtime.add(news("a"))
    assert realtime.publish_due() is None


def test_a_centre_of_another_encoder_is_refused(create):
    centre = create()
    with pytest.raises(OtherEncoderError, match=f"encoder {LAYOUT.encoder}, not of bb"):
        RealTimeInference(centre, Other())
    with pytest.raises(CentreError, match="vectors of 4 values in float32, not of 5"):
        RealTimeInference(centre, Wider())


def everything(centre) -> dict[str, float]:
    rows = centre.lookup(["a", "b", "c", "d"])
    return dict(zip("abcd", rows.vectors[:, 0].tolist(), strict=True))


def test_windows_are_delivered_once_whatever_is_repeated(where, create, tmp_path):
    source, target = EmbeddedCentre(tmp_path / "source", LAYOUT), create()
    realtime = RealTimeInference(source, Lengths(), window_items=1)
    for batch in (news("a", "b"), news("c"), news("a", title="new")):
        realtime.add(batch)
        realtime.publish_due()
    realtime.add(news("d"))
    assert forward(source, target, "fleet") == 3
    expected = {"a": 3.0, "b": 5.0, "c": 5.0, "d": 0.0}
    assert everything(target) == expected
    assert forward(source, target, "fleet") == 0
    assert forward(source, target, "another name") == 3
    assert everything(target) == expected
    source.publish()
    assert forward(source, target, "fleet") == 1
    assert everything(target) == {**expected, "d": 5.0}
    source.close()


class Dies(Exception):
    pass


def test_a_delivery_that_is_cut_off_is_repeated(create, tmp_path):
    source, target = EmbeddedCentre(tmp_path / "source", LAYOUT), create()
    source.put(["a", "b"], np.ones((2, 4)), ["1", "2"])
    source.publish()

    class CutOff:
        encoder, dimension = target.encoder, target.dimension

        def put(self, *content):
            target.put(*content)
            raise Dies

    with pytest.raises(Dies):
        forward(source, CutOff(), "fleet")
    assert source.delivered("fleet") == 0
    assert forward(source, target, "fleet") == 1
    assert target.counts().items == 2
    source.close()


def test_windows_go_to_no_other_encoders_table(tmp_path):
    source = EmbeddedCentre(tmp_path / "a", LAYOUT)
    target = open_writer(tmp_path / "b", CentreFormat(encoder="bb", dimension=4))
    with pytest.raises(CentreError, match=f"bb, .*{LAYOUT.encoder}"):
        forward(source, target, "b")
    source.close()
    target.close()


def test_a_slow_consumer_holds_up_nobody(tmp_path):
    source = EmbeddedCentre(tmp_path, LAYOUT)
    source.put(["a", "b"], np.ones((2, 4)), ["1", "2"])
    source.publish()
    answers = []

    class Slow:
        encoder, dimension = source.encoder, source.dimension

        def put(self, ids, *_):
            reader = threading.Thread(target=lambda: answers.append(source.lookup(["unknown"]).found[0]))
            reader.start()
            reader.join(60)
            answers.append(ids)

        def publish(self):
            source.put(["c"], np.ones((1, 4)), ["3"])

    assert forward(source, Slow(), "fleet") == 1
    assert answers == [False, ["a", "b"]]
    source.close()


def test_large_windows_are_delivered_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(authority, "_BLOCK", 3)
    source, target = EmbeddedCentre(tmp_path / "a", LAYOUT), EmbeddedCentre(tmp_path / "b", LAYOUT)
    ids = [str(number) for number in range(10)]
    source.put(ids, np.arange(40.0).reshape(10, 4), ids)
    source.publish()
    assert forward(source, target, "b") == 1
    assert (target.lookup(ids).vectors == np.arange(40.0).reshape(10, 4)).all()
    source.close()
    target.close()


class Counting:
    """A centre that counts what it is given, and dies when it has had enough."""

    def __init__(self, centre, patience=1000):
        self._centre, self.left, self.sizes = centre, patience, []
        self.encoder, self.dimension = centre.encoder, centre.dimension
        self.counts, self.publish = centre.counts, centre.publish

    def put(self, ids, vectors, sources):
        if self.left == 0:
            raise Dies
        self.left -= 1
        self.sizes.append(len(ids))
        self._centre.put(ids, vectors, sources)


def test_many_small_windows_reach_a_new_consumer_in_few_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(authority, "_BLOCK", 8)
    source, target = EmbeddedCentre(tmp_path / "a", LAYOUT), EmbeddedCentre(tmp_path / "b", LAYOUT)
    ids = [str(number) for number in range(20)]
    for number, item in enumerate(ids):
        source.put([item, "popular"], np.full((2, 4), number), [item, item])
        source.publish()
    source.put(["open"], np.ones((1, 4)), ["1"])
    died, alive = Counting(target, patience=2), Counting(target)
    with pytest.raises(Dies):
        forward(source, died, "b")
    assert source.delivered("b") == 15  # the sixteenth window's only item was the last of the second batch
    assert forward(source, alive, "b") == 5
    assert (died.sizes, alive.sizes) == ([8, 8], [6])
    assert (target.lookup([*ids, "popular"]).vectors[:, 0] == [*range(20), 19]).all()
    assert not target.lookup(["open"]).found.any()
    assert forward(source, target, "b") == 0
    source.close()
    target.close()


def test_what_was_delivered_but_not_published_is_published_the_next_time(tmp_path, monkeypatch):
    source, target = EmbeddedCentre(tmp_path / "a", LAYOUT), EmbeddedCentre(tmp_path / "b", LAYOUT)
    source.put(["a"], np.ones((1, 4)), ["1"])
    source.publish()

    def dies() -> int:
        raise Dies

    with monkeypatch.context() as patched:
        patched.setattr(target, "publish", dies)
        with pytest.raises(Dies):
            forward(source, target, "b")
    assert forward(source, target, "b") == 0
    assert target.table.lookup(["a"]).found.all()
    source.close()
    target.close()
