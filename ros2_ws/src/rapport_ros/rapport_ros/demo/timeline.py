"""How faces, ages and genders developed over a run, as lines and bands to draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapport_ros.harness.recording import ProfileReceived, Recording

WIDTH, LANE, PLOT = 880.0, 22.0, 150.0
LEFT, RIGHT, TOP, GAP = 64.0, 16.0, 8.0, 40.0
#: Frames without a face that do not yet end the bar of its presence, seconds.
SHORTEST_ABSENCE = 0.5


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: its place in pixels, and its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One person's values.

    Attributes:
        person: index of the person, for the colour.
        line: "x,y x,y ..." of the mean.
        band: the same for the interval around it, closed; empty where there is none.
        dots: (x, y) of each message.
        label: what to write at the last dot.
    """

    person: int
    line: str
    band: str
    dots: list[tuple[float, float]]
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One diagram with its own vertical axis.

    Attributes:
        top: of the plot, pixels.
        title: what the axis shows.
    """

    title: str
    top: float
    height: float
    ticks: list[Tick]
    curves: list[Curve]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time in which a face was in view; pixels."""

    x: float
    y: float
    width: float
    face_id: str
    person: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that the report's picture draws; pixels, y down."""

    width: float
    height: float
    left: float
    right: float
    seconds: list[Tick]
    lanes: list[Tick]
    bars: list[Bar]
    plots: list[Plot]


def timeline(recording: Recording) -> Timeline:
    """The picture's geometry."""
    people = {state.user_id: index for index, state in enumerate(recording.final_profiles)}
    end = max(_moments(recording), default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / max(end, 1.0)
    faces = _presence(recording, people)
    lanes = [Tick(TOP + LANE * (row + 0.5), face_id) for row, face_id in enumerate(faces)]
    bars = [
        Bar(LEFT + first * scale, TOP + LANE * row + 4, max(2.0, (last - first) * scale), face_id, person)
        for row, (face_id, (person, stretches)) in enumerate(faces.items())
        for first, last in stretches
    ]
    top = TOP + LANE * len(faces) + GAP
    rows = [item for item in recording.profiles if item.state.user_id in people and item.state.observations > 0]
    plots = [_ages(rows, people, recording.started, scale, top)]
    plots.append(_genders(rows, people, recording.started, scale, top + PLOT + GAP))
    height = top + 2 * PLOT + GAP + 28.0
    return Timeline(WIDTH, height, LEFT, WIDTH - RIGHT, _seconds(end, scale), lanes, bars, plots)


def _moments(recording: Recording) -> Iterator[float]:
    yield from (sent - recording.started for _, sent in recording.published)
    yield from (item.received - recording.started for item in recording.profiles)


def _presence(recording: Recording, people: dict[str, int]) -> dict[str, tuple[int, list[tuple[float, float]]]]:
    """Face id to its person's index (-1 when nobody was profiled) and the stretches in which it was in view."""
    owners = {item.state.face_id: people.get(item.state.user_id, -1) for item in recording.profiles}
    seen: dict[str, list[float]] = {}
    for item in recording.faces:
        for face_id in item.ids:
            seen.setdefault(face_id, []).append(item.received - recording.started)
    return {face_id: (owners.get(face_id, -1), _stretches(moments)) for face_id, moments in seen.items()}


def _stretches(moments: Sequence[float]) -> list[tuple[float, float]]:
    """Ascending moments as (first, last) of those that lie close together."""
    stretches: list[tuple[float, float]] = []
    for moment in moments:
        if stretches and moment - stretches[-1][1] <= SHORTEST_ABSENCE:
            stretches[-1] = (stretches[-1][0], moment)
        else:
            stretches.append((moment, moment))
    return stretches


def _ages(rows: Sequence[ProfileReceived], people: dict[str, int], started: float, scale: float, top: float) -> Plot:
    highest = max((item.state.age.high for item in rows if item.state.age), default=80.0)
    limit = 20.0 * (int(highest / 20.0) + 1)

    def place(years: float) -> float:
        return top + PLOT * (1.0 - min(max(years, 0.0), limit) / limit)

    curves = []
    for user_id, person in people.items():
        points = [
            (LEFT + (item.received - started) * scale, item.state.age)
            for item in rows
            if item.state.user_id == user_id and item.state.age is not None
        ]
        line = [(x, place(age.mean)) for x, age in points]
        band = [(x, place(age.high)) for x, age in points] + [(x, place(age.low)) for x, age in reversed(points)]
        label = f"{points[-1][1].mean:.0f}" if points else ""
        curves.append(Curve(person, _path(line), _path(band), line, label))
    ticks = [Tick(place(years), f"{years:.0f}") for years in (0.0, limit / 2.0, limit)]
    return Plot("age, years: mean and central 80 %", top, PLOT, ticks, curves)


def _genders(rows: Sequence[ProfileReceived], people: dict[str, int], started: float, scale: float, top: float) -> Plot:
    curves = []
    for user_id, person in people.items():
        points = [
            (LEFT + (item.received - started) * scale, item.state.gender)
            for item in rows
            if item.state.user_id == user_id and item.state.gender is not None
        ]
        line = [(x, top + PLOT * (1.0 - gender.confidence)) for x, gender in points]
        label = points[-1][1].label if points else ""
        curves.append(Curve(person, _path(line), "", line, label))
    ticks = [Tick(top + PLOT * (1.0 - share), f"{share:g}") for share in (0.0, 0.5, 1.0)]
    return Plot("gender: probability of the stated label", top, PLOT, ticks, curves)


def _seconds(end: float, scale: float) -> list[Tick]:
    """Marks at whole seconds, about ten of them."""
    step = next(step for step in (1, 2, 5, 10, 30, 60, 300, 600, 3600) if end / step <= 12 or step == 3600)
    return [Tick(LEFT + second * scale, f"{second} s") for second in range(0, int(end) + 1, step)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
