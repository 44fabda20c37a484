"""Tracks: when they begin and end, their ids, and where the face is between two detections."""

from __future__ import annotations

import math
from functools import cache
from itertools import islice
from math import gcd
from random import Random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.faces import ByteImage, Detection, Track
from rapport_edge.tracking import FaceTracker, TrackerSettings
from rapport_edge.tracking.association import BoxAssociation
from rapport_edge.tracking.flow import follow, take_patch
from rapport_edge.tracking.identifiers import track_ids

LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], dtype=np.float32)


def face(x: float, y: float, side: float = 80.0, score: float = 0.9) -> Detection:
    box = np.array([x, y, x + side, y + side], dtype=np.float32)
    return Detection(box, box[:2] + LANDMARKS * np.float32(side), score)


@cache
def texture(width: int = 640, height: int = 480, seed: int = 0) -> ByteImage:
    """A random picture with detail of several sizes, as real ones have: something to follow everywhere."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), dtype=np.float32)
    for cell in (8, 20, 40):
        noise = random.uniform(0, 255 / 3, (height // cell, width // cell, 3)).astype(np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def moved(image: ByteImage, matrix: list[list[float]]) -> ByteImage:
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, np.array(matrix), size, borderMode=cv2.BORDER_REFLECT))


def overlap(a: Detection, b: Detection) -> float:
    low, high = np.maximum(a.box[:2], b.box[:2]), np.minimum(a.box[2:], b.box[2:])
    inside = float(np.prod(np.clip(high - low, 0, None)))
    areas = sum(float(np.prod(d.box[2:] - d.box[:2])) for d in (a, b))
    return inside / (areas - inside)


def test_a_face_is_reported_after_enough_detections_in_a_row() -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=3))
    reported = [len(tracker.update([face(100, 100)], None, i / 30)) for i in range(4)]
    assert reported == [0, 0, 1, 1]


def test_a_candidate_that_is_missed_once_is_forgotten() -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=2))
    tracker.update([face(100, 100)], None, 0.0)
    assert tracker.has_candidates
    tracker.update([], None, 0.1)
    assert not tracker.has_candidates
    assert tracker.update([face(100, 100)], None, 0.2) == []


def test_a_track_outlives_misses_up_to_its_limit_and_keeps_its_id() -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=1, max_misses=2))
    (first,) = tracker.update([face(100, 100)], None, 0.0)
    views = [tracker.update([], None, i / 10) for i in (1, 2)]
    assert [(track.id, track.misses, track.measured) for (track,) in views] == [
        (first.id, 1, False),
        (first.id, 2, False),
    ]
    (again,) = tracker.update([face(102, 100)], None, 0.3)
    assert (again.id, again.hits, again.misses, again.measured) == (first.id, 2, 0, True)


def test_a_track_ends_after_too_many_misses_and_its_id_does_not_come_back() -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=1, max_misses=1))
    (first,) = tracker.update([face(100, 100)], None, 0.0)
    assert len(tracker.update([], None, 0.1)) == 1
    assert tracker.update([], None, 0.2) == []
    (second,) = tracker.update([face(100, 100)], None, 0.3)
    assert second.id != first.id


def test_two_faces_that_pass_one_another_keep_their_ids() -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=1))
    seen: dict[str, list[float]] = {}
    for i in range(60):
        for track in tracker.update([face(40 + 8 * i, 100), face(520 - 8 * i, 160)], None, i / 30):
            seen.setdefault(track.id, []).append(float(track.detection.box[1]))
    assert sorted(len(rows) for rows in seen.values()) == [60, 60]
    assert all(len(set(rows)) == 1 for rows in seen.values())


@pytest.mark.parametrize(
    ("stamp", "size", "reason"),
    [(9.9, (640, 480), "clock-backwards"), (13.0, (640, 480), "clock-gap"), (10.1, (320, 240), "image-size")],
)
def test_a_discontinuity_ends_all_tracks_with_a_counted_reason(
    stamp: float, size: tuple[int, int], reason: str
) -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=1, max_gap_s=2.0))
    (before,) = tracker.update([face(100, 100)], texture(), 10.0)
    assert dict(tracker.resets) == {}
    (after,) = tracker.update([face(100, 100)], texture(*size), stamp)
    assert dict(tracker.resets) == {reason: 1}
    assert after.id != before.id
    assert [track.id for track in tracker.update([face(100, 100)], texture(*size), stamp + 0.1)] == [after.id]


@pytest.mark.parametrize("stamp", [math.nan, math.inf])
def test_a_stamp_that_is_not_finite_is_refused(stamp: float) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        FaceTracker().update([], None, stamp)


def test_detections_that_are_no_faces_are_ignored() -> None:
    broken = [face(math.nan, 0), face(10, 10, side=0.0), face(10, 10, side=-5.0), face(math.inf, 3)]
    tracks = FaceTracker(TrackerSettings(confirm_hits=1)).update([*broken, face(100, 100)], texture(), 0.0)
    assert [track.detection.box[0] for track in tracks] == [100.0]


def test_without_an_image_a_face_stays_where_it_was() -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=1))
    tracker.update([face(100, 100)], None, 0.0)
    (track,) = tracker.predict(None, 0.03)
    np.testing.assert_array_equal(track.detection.box, face(100, 100).box)
    assert not track.measured


def test_a_face_that_leaves_the_image_is_dropped() -> None:
    tracker = FaceTracker(TrackerSettings(confirm_hits=1))
    assert len(tracker.update([face(570, 100)], texture(), 0.0)) == 1
    assert tracker.update([face(610, 100)], texture(), 0.1) == []


@settings(max_examples=25, deadline=None)
@given(
    shift=st.tuples(st.floats(-12, 12), st.floats(-12, 12)),
    angle=st.floats(-6, 6),
    scale=st.floats(0.94, 1.06),
    side=st.floats(60, 160),
)
def test_optical_flow_finds_any_small_similarity(
    shift: tuple[float, float], angle: float, scale: float, side: float
) -> None:
    image, start = texture(), face(240, 160, side)
    centre = (start.box[:2] + start.box[2:]) / 2
    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, scale)
    matrix[:, 2] += shift
    patch = take_patch(image, start)
    assert patch is not None
    found = follow(patch, moved(image, matrix.tolist()), start)
    assert found is not None
    truth = start.landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert float(np.abs(found.landmarks - truth).max()) < 0.03 * side
    assert float(np.ptp(found.box[[0, 2]])) == pytest.approx(side * scale, rel=0.03)


def test_optical_flow_says_when_it_lost_the_face() -> None:
    start = face(240, 160)
    patch = take_patch(texture(seed=0), start)
    assert patch is not None
    black = np.zeros((480, 640, 3), dtype=np.uint8)
    others = [follow(patch, texture(seed=seed), start) for seed in range(1, 11)]
    assert follow(patch, black, start) is None
    assert sum(other is None for other in others) >= 8


def test_no_patch_is_taken_outside_the_image() -> None:
    assert take_patch(texture(), face(-500, -500)) is None


def test_between_detections_the_face_follows_the_camera_without_a_change_of_id() -> None:
    """A camera that swings at up to 20 pixels per frame, the detector on every fifth frame."""
    image, ids, errors = texture(), set(), []
    tracker = FaceTracker(TrackerSettings(confirm_hits=1))
    for i in range(60):
        x = 100 * math.sin(0.2 * i)
        frame, truth = moved(image, [[1, 0, x], [0, 1, 0]]), face(280 + x, 200)
        tracks = tracker.update([truth], frame, i / 30) if i % 5 == 0 else tracker.predict(frame, i / 30)
        ids |= {track.id for track in tracks}
        errors += [float(np.abs(track.detection.landmarks - truth.landmarks).max()) for track in tracks]
    assert len(ids) == 1
    assert len(errors) == 60
    assert max(errors) < 3.0


def test_the_tracker_does_not_keep_or_change_the_image() -> None:
    frames = [moved(texture(), [[1, 0, 4.0 * i], [0, 1, 0]]) for i in range(4)]
    results = []
    for reuse in (False, True):
        tracker, buffer = FaceTracker(TrackerSettings(confirm_hits=1), iter(["a"])), np.empty_like(frames[0])
        tracks: list[Track] = []
        for i, frame in enumerate(frames):
            buffer[:] = frame
            shown = buffer if reuse else frame.copy()
            tracks = tracker.predict(shown, i / 30) if i else tracker.update([face(200, 200)], shown, 0.0)
            np.testing.assert_array_equal(shown, frame)
        results.append(tracks[0].detection.box)
    np.testing.assert_array_equal(*results)
    assert results[0][0] == pytest.approx(212, abs=1)


boxes = st.tuples(st.floats(-700, 700), st.floats(-500, 500), st.floats(1, 600), st.floats(0, 1))


@settings(max_examples=40, deadline=None)
@given(frames=st.lists(st.lists(boxes, max_size=5), max_size=8))
def test_any_detections_give_distinct_confirmed_tracks_with_finite_boxes(
    frames: list[list[tuple[float, float, float, float]]],
) -> None:
    tracker, image = FaceTracker(), texture(320, 240)
    for i, rows in enumerate(frames):
        detections = [face(x, y, side, score) for x, y, side, score in rows]
        tracks = tracker.predict(image, i / 30) if i % 3 == 2 else tracker.update(detections, image, i / 30)
        assert len({track.id for track in tracks}) == len(tracks)
        for track in tracks:
            assert track.hits >= 2
            assert np.isfinite(track.detection.box).all()
            assert not track.measured or track.misses == 0


@settings(max_examples=40, deadline=None)
@given(frames=st.lists(st.lists(boxes, max_size=5), max_size=8))
def test_the_library_gives_every_box_a_number_of_its_own(
    frames: list[list[tuple[float, float, float, float]]],
) -> None:
    association = BoxAssociation(0.2)
    for rows in frames:
        numbers = association.step([face(x, y, side, score) for x, y, side, score in rows])
        assert len(set(numbers)) == len(rows)


def test_ids_are_short_words_that_do_not_repeat() -> None:
    ids = list(islice(track_ids(Random(3)), 50_000))
    assert len(set(ids)) == len(ids)
    assert all(len(word) == 5 and word.isascii() and word.isalpha() and word.islower() for word in ids)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_the_walk_through_all_ids_is_complete(seed: int) -> None:
    """Consecutive ids differ by a step that shares no factor with their count, so the walk visits every word."""
    first, second = (number(word) for word in islice(track_ids(Random(seed)), 2))
    assert gcd((second - first) % 26**5, 26**5) == 1


def number(word: str) -> int:
    return sum((ord(letter) - ord("a")) * 26**place for place, letter in enumerate(word))


def clip(path: str, count: int) -> list[ByteImage]:
    """The first frames at half their size."""
    capture, frames = cv2.VideoCapture(path), []
    for _ in range(count):
        more, frame = capture.read()
        assert more, path
        small = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        frames.append(np.ascontiguousarray(small[:, :, ::-1]))
    return frames


def test_optical_flow_beats_standing_still_on_real_clips(shared_data) -> None:
    """The choice that rapport_edge.tracking.flow explains, measured again on one clip with YuNet."""
    model = shared_data / "models" / "face_detection_yunet_2023mar.onnx"
    frames = clip(str(shared_data / "people" / "video" / "yes.mkv"), 40)
    detector = cv2.FaceDetectorYN.create(str(model), "", (frames[0].shape[1], frames[0].shape[0]), 0.6, 0.3)
    faces = []
    for frame in frames:
        row = detector.detect(np.ascontiguousarray(frame[:, :, ::-1]))[1][0]
        box = np.concatenate([row[:2], row[:2] + row[2:4]])
        faces.append(Detection(box, row[4:14].reshape(5, 2), float(row[14])))
    tracker, ids, followed, still = FaceTracker(), set(), [], []
    for i, (frame, seen) in enumerate(zip(frames, faces, strict=True)):
        update = i % 3 == 0 or tracker.has_candidates
        tracks = tracker.update([seen], frame, i / 30) if update else tracker.predict(frame, i / 30)
        ids |= {track.id for track in tracks}
        if tracks and not update:
            followed.append(overlap(tracks[0].detection, seen))
            still.append(overlap(faces[i - i % 3], seen))
    assert len(ids) == 1
    assert len(followed) > 20
    assert np.mean(followed) > np.mean(still) + 0.02
    assert np.mean(followed) > 0.9
