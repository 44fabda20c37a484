"""What the demo says on the terminal while it runs: one line per change of a profile."""

from __future__ import annotations

from rapport_ros.harness.recording import ProfileReceived, ProfileState, Recording


class ProfileLines:
    """Turns profile messages into lines; a message that says nothing new gives none."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def line(self, profile: ProfileReceived, started: float) -> str | None:
        """One line, or None.

        Args:
            profile: just received.
            started: when playing began, on the clock of `profile.received`.
        """
        text = describe(profile.state)
        if self._last.get(profile.state.user_id) == text:
            return None
        self._last[profile.state.user_id] = text
        return f"{profile.received - started:6.1f} s  {text}"


def describe(state: ProfileState) -> str:
    """A profile in one line: "person_1f2e  face kdwqa  age 31 (24-39)  Female 0.93  4 views"."""
    where = f"face {state.face_id}" if state.face_id else "out of sight"
    views = f"{state.observations} view" + ("" if state.observations == 1 else "s")
    return f"{state.user_id}  {where:12}  {age_text(state):18}  {gender_text(state):15}  {views}"


def age_text(state: ProfileState) -> str:
    """Mean and central 80 % interval, or that it is unknown."""
    if state.age is None:
        return "age unknown"
    return f"age {state.age.mean:.0f} ({state.age.low:.0f} to {state.age.high:.0f})"


def gender_text(state: ProfileState) -> str:
    """Label and probability, or that it is unknown."""
    return "gender unknown" if state.gender is None else f"{state.gender.label} {state.gender.confidence:.2f}"


def counts(recording: Recording) -> str:
    """What became of the frames, in one line."""
    dropped = [f"{count} dropped ({reason.replace('_', ' ')})" for reason, count in sorted(recording.dropped.items())]
    parts = [
        f"{len(recording.published)} frames published",
        f"{recording.lost} lost in transport",
        f"{recording.perception.get('processed', '0')} processed",
        *dropped,
    ]
    return ", ".join(parts)
