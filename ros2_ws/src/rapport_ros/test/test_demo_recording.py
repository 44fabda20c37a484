"""From what was recorded to figures, lines, pictures and files; no ROS."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_ros.demo.console import ProfileLines, counts
from rapport_ros.demo.gallery import Gallery
from rapport_ros.demo.report import render
from rapport_ros.demo.results import encode, results
from rapport_ros.demo.timeline import LEFT, WIDTH, timeline
from rapport_ros.harness.recording import (
    AgeState,
    FacesReceived,
    GenderState,
    ProfileReceived,
    ProfileState,
    Recording,
    percentiles,
)


def state(user_id: str = "person_a", **changes: object) -> ProfileState:
    values: dict = {
        "user_id": user_id,
        "age": AgeState(mean=31.0, low=24.0, high=39.0),
        "gender": GenderState(label="Female", confidence=0.93),
        "observations": 4,
        "face_id": "kdwqa",
        "anonymous": True,
        "consent": "unknown",
        "summary": "An anonymous person.",
        "first_seen": 1.0,
        "last_seen": 2.0,
    }
    return ProfileState(**{**values, **changes})


@pytest.fixture
def recording() -> Recording:
    """Ten frames, 100 ms apart; one was lost, one dropped, eight gave faces 20 ms later, two gave profiles."""
    made = Recording(description="a test <picture>", ready_after=2.0, started=100.0)
    made.published = [(1000 + n, 100.0 + n / 10) for n in range(10)]
    made.faces = [FacesReceived(1000 + n, 100.02 + n / 10, ("kdwqa",)) for n in range(8)]
    made.profiles = [
        ProfileReceived(1001, 100.15, state(observations=0, age=None, gender=None)),
        ProfileReceived(1002, 100.25, state(observations=1)),
        ProfileReceived(1002, 100.45, state(observations=1)),
        ProfileReceived(0, 101.5, state(face_id="")),
        ProfileReceived(1004, 101.6, state("person_b", observations=0, age=None, gender=None, face_id="zzzzz")),
    ]
    made.diagnostics["face_perception"] = {
        "received": "9",
        "processed": "8",
        "dropped superseded": "1",
        "not encoded blurred": "3",
        "overhead ms p50": "1.500",
        "overhead ms p95": "2.500",
        "overhead ms p99": "3.500",
        "stage detect ms p50": "24.000",
    }
    return made


def test_what_was_published_and_not_received_is_lost(recording: Recording):
    assert (recording.lost, recording.received) == (1, 9)
    assert recording.dropped == {"superseded": 1} and recording.not_encoded == {"blurred": 3}


def test_without_diagnostics_every_frame_counts_as_lost():
    assert Recording(published=[(1, 0.0), (2, 0.1)]).lost == 2


def test_latencies_count_each_image_once_and_only_published_ones(recording: Recording):
    faces, profile = recording.latency_to_faces(), recording.latency_to_profile()
    assert faces.n == 8 and faces.p50 == pytest.approx(20.0, abs=0.01)
    assert profile.n == 1 and profile.p50 == pytest.approx(50.0, abs=0.01)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=50))
def test_percentiles_are_ordered_and_within_the_values(seconds: list[float]):
    found = percentiles(seconds)
    assert found.n == len(seconds)
    assert min(seconds) * 1e3 - 1e-2 <= found.p50 <= found.p95 <= found.p99 <= max(seconds) * 1e3 + 1e-2


def test_no_values_have_no_percentiles():
    assert percentiles([]).p50 is None and Recording().reported("overhead").p50 is None


def test_the_rate_of_faces_is_that_of_messages_with_enough_of_them(recording: Recording):
    assert recording.face_rate(1) == pytest.approx(10.0)
    assert recording.face_rate(2) == 0.0


def test_only_persons_with_a_view_are_profiled_and_the_newest_state_counts(recording: Recording):
    assert [(item.user_id, item.observations, item.face_id) for item in recording.final_profiles] == [
        ("person_a", 4, "")
    ]


def test_the_json_has_the_promised_form(recording: Recording):
    content = json.loads(encode(results(recording)))
    assert (content["frames"], content["lost"]) == (10, 1)
    (person,) = content["profiles"]
    assert person["user_id"] == "person_a" and person["observations"] == 4 and person["face_ids"] == ["kdwqa"]
    assert person["age"] == {"mean": 31.0, "low": 24.0, "high": 39.0}
    assert person["gender"] == {"label": "Female", "confidence": 0.93}


def test_what_is_unknown_is_null(recording: Recording):
    recording.profiles.append(ProfileReceived(0, 102.0, state(age=None, gender=None)))
    (person,) = json.loads(encode(results(recording)))["profiles"]
    assert person["age"] is None and person["gender"] is None


def test_a_line_says_what_is_known_and_repeats_nothing():
    lines = ProfileLines()
    first = lines.line(ProfileReceived(0, 103.2, state()), 100.0)
    assert first is not None and re.search(
        r"3\.2 s  person_a  face kdwqa +age 31 \(24 to 39\) +Female 0\.93 +4 views", first
    )
    assert lines.line(ProfileReceived(0, 103.4, state()), 100.0) is None
    unknown = lines.line(ProfileReceived(0, 104.0, state(age=None, gender=None, face_id="", observations=1)), 100.0)
    assert unknown is not None and re.search(r"out of sight +age unknown +gender unknown +1 view$", unknown)


def test_the_last_line_counts_every_frame(recording: Recording):
    assert counts(recording) == "10 frames published, 1 lost in transport, 8 processed, 1 dropped (superseded)"


@given(st.lists(st.tuples(st.floats(0.0, 500.0), st.integers(0, 3)), max_size=80))
def test_the_gallery_keeps_few_pictures_in_order_and_the_best_of_all(offers: list[tuple[float, int]]):
    gallery = Gallery(most=6)
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    for moment, faces in sorted(offers):
        gallery.offer(picture, faces, moment)
    shots = gallery.shots
    assert len(shots) <= 6
    assert [shot.moment for shot in shots] == sorted(shot.moment for shot in shots)
    assert max((shot.faces for shot in shots), default=0) == max((faces for _, faces in offers), default=0)


def test_large_pictures_are_shrunk_for_the_report():
    from rapport_edge.images import decode_compressed

    gallery = Gallery()
    gallery.offer(np.zeros((720, 1280, 3), dtype=np.uint8), 1, 0.0)
    assert decode_compressed(gallery.shots[0].jpeg).shape == (360, 640, 3)


def test_the_timeline_draws_inside_its_frame_and_in_the_order_of_time(recording: Recording):
    drawn = timeline(recording)
    assert [bar.face_id for bar in drawn.bars] == ["kdwqa"]
    assert all(LEFT <= bar.x <= bar.x + bar.width <= WIDTH for bar in drawn.bars)
    for plot in drawn.plots:
        xs = [x for x, _ in plot.curves[0].dots]
        assert xs == sorted(xs) and all(LEFT <= x <= WIDTH for x in xs)
        assert all(plot.top <= y <= plot.top + plot.height for _, y in plot.curves[0].dots)


def test_a_face_that_comes_back_has_two_bars(recording: Recording):
    recording.faces.append(FacesReceived(1009, 105.0, ("kdwqa",)))
    assert len(timeline(recording).bars) == 2


def test_the_report_needs_nothing_else_and_takes_nothing_for_markup(recording: Recording):
    gallery = Gallery()
    gallery.offer(np.zeros((48, 64, 3), dtype=np.uint8), 1, 0.0)
    page = render(recording, gallery.shots)
    assert not re.search(r"https?:|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="([a-z/:]+)', page)) == {"data:image/jpeg"}
    assert "a test &lt;picture&gt;" in page and "<picture>" not in page
    for text in ("person_a", "31 (24 to 39)", "Female 0.93", "An anonymous person.", "kdwqa", "24.00"):
        assert text in page


def test_the_report_of_a_run_without_anything_says_so():
    page = render(Recording(description="nothing", failure="the camera was unplugged"), [])
    assert "No face was profiled" in page and "the camera was unplugged" in page and "unknown throughout" in page


def test_a_parameter_file_gets_its_overrides_last(tmp_path: Path):
    import yaml

    from rapport_edge.errors import SettingsError
    from rapport_ros.harness.parameter_file import write_parameters

    base, target = tmp_path / "base.yaml", tmp_path / "params.yaml"
    base.write_text(
        "/**/face_perception:\n  ros__parameters:\n    image: {topic: a, max_age: 1.0}\n    image.transport: raw\n"
    )
    write_parameters(base, {"face_perception": {"image.topic": "b"}, "profile_store": {"database": "x"}}, target)
    content = yaml.safe_load(target.read_text())
    assert content["/**/face_perception"]["ros__parameters"] == {
        "image.topic": "b",
        "image.max_age": 1.0,
        "image.transport": "raw",
    }
    assert content["/**/profile_store"]["ros__parameters"] == {"database": "x"}
    base.write_text("/**/face_perceptoin:\n  ros__parameters: {}\n")
    with pytest.raises(SettingsError, match="face_perceptoin"):
        write_parameters(base, {}, target)


def test_settings_of_the_player_survive_the_way_to_its_process():
    from rapport_ros.playback.factory import SourceSettings
    from rapport_ros.playback.player import PlayerSettings
    from rapport_ros.playback.scene import SceneSettings

    sent = PlayerSettings(source=SourceSettings(input="a.mp4", rate=5.0), scene=SceneSettings(faces=4), seconds=2.0)
    assert msgspec.json.decode(msgspec.json.encode(sent), type=PlayerSettings) == sent


def test_a_run_without_profiles_says_why(recording: Recording):
    from rapport_ros.demo.demo import nobody

    assert nobody(recording) == "no face was profiled: 1 seen, of their views 3 too poor (blurred)"
    assert nobody(Recording()) == "no face was profiled: none was seen"
