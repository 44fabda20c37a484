"""demo/profiles.json: what a run gave, for programs."""

from __future__ import annotations

import msgspec

from rapport_ros.harness.recording import AgeState, GenderState, Percentiles, ProfileState, Recording


class ProfileResult(msgspec.Struct, frozen=True, kw_only=True):
    """One person at the end.

    Attributes:
        age, gender: None when unknown.
        observations: views of the face that the estimates rest on.
        face_ids: tracks that showed the person.
        summary: the paragraph for a dialogue model.
        first_seen, last_seen: seconds since 1970.
    """

    user_id: str
    age: AgeState | None
    gender: GenderState | None
    observations: int
    face_ids: list[str]
    anonymous: bool
    consent: str
    summary: str
    first_seen: float
    last_seen: float


class DemoResults(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file.

    Attributes:
        frames: published by the player.
        lost: published, but never received by face_perception: lost in transport.
        received, processed, dropped: as face_perception counts them; `dropped` by reason.
        not_encoded: views that were too poor for an estimate, by reason.
        profiles: persons of whom at least one view was encoded.
        latency_ms: from the publication of an image to the arrival of its faces, and of a profile that rests on it.
        failure: why the run ended early; empty when it did not.
    """

    input: str
    frames: int
    lost: int
    received: int
    processed: int
    dropped: dict[str, int]
    not_encoded: dict[str, int]
    profiles: list[ProfileResult]
    latency_ms: dict[str, Percentiles]
    ready_s: float
    failure: str


def results(recording: Recording) -> DemoResults:
    """The figures of a recording."""
    return DemoResults(
        input=recording.description,
        frames=len(recording.published),
        lost=recording.lost,
        received=recording.received,
        processed=int(recording.perception.get("processed", 0)),
        dropped=recording.dropped,
        not_encoded=recording.not_encoded,
        profiles=[_profile(state, recording) for state in recording.final_profiles],
        latency_ms={"faces": recording.latency_to_faces(), "profile": recording.latency_to_profile()},
        ready_s=round(recording.ready_after, 2),
        failure=recording.failure,
    )


def encode(results: DemoResults) -> bytes:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n"


def _profile(state: ProfileState, recording: Recording) -> ProfileResult:
    shown = [item.state.face_id for item in recording.profiles if item.state.user_id == state.user_id]
    return ProfileResult(
        user_id=state.user_id,
        age=state.age,
        gender=state.gender,
        observations=state.observations,
        face_ids=[face_id for face_id in dict.fromkeys(shown) if face_id],
        anonymous=state.anonymous,
        consent=state.consent,
        summary=state.summary,
        first_seen=round(state.first_seen, 3),
        last_seen=round(state.last_seen, 3),
    )
