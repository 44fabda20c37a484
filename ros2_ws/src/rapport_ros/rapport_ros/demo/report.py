"""demo/report.html: one file that needs nothing else, to be looked at offline."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from rapport_ros.demo.console import age_text, gender_text
from rapport_ros.demo.gallery import Shot
from rapport_ros.demo.results import DemoResults, results
from rapport_ros.demo.timeline import timeline
from rapport_ros.harness.recording import Percentiles, Recording
from rapport_ros.harness.usage import Machine, this_machine

#: What happens in each stage of face_perception, in the order of the pipeline.
STAGES = {
    "decode": "message to RGB",
    "detect": "find faces; not on every frame",
    "track": "follow them",
    "quality": "size, sharpness, pose",
    "align": "five points to the encoder's crop",
    "encode": "crop to embedding and probabilities; not on every frame",
    "fuse": "add the view to what is known of the track",
    "publish": "messages out",
}


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One line of the table of latencies."""

    name: str
    meaning: str
    values: Percentiles


@dataclass(frozen=True, slots=True)
class Picture:
    """An annotated frame as a data URL, with its caption."""

    url: str
    caption: str


def render(recording: Recording, shots: Sequence[Shot]) -> str:
    """The report as HTML.

    Args:
        recording: of the run.
        shots: annotated frames to show.
    """
    environment = Environment(
        loader=PackageLoader("rapport_ros", "demo"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    found: DemoResults = results(recording)
    states = recording.final_profiles
    machine: Machine = this_machine()
    return environment.get_template("report.html.jinja").render(
        made=f"{datetime.now():%Y-%m-%d %H:%M}",
        results=found,
        people=[
            (person, age_text(state), gender_text(state)) for person, state in zip(found.profiles, states, strict=True)
        ],
        pictures=[_picture(shot) for shot in shots],
        timeline=timeline(recording),
        latencies=latency_rows(recording),
        models={
            key: recording.perception[key]
            for key in ("detector", "encoder", "model digest")
            if key in recording.perception
        },
        usage=recording.usage,
        machine=machine,
    )


def latency_rows(recording: Recording) -> list[LatencyRow]:
    """From the outside in: whole path, node, stages."""
    rows = [
        LatencyRow(
            "image to faces", "published image to its FaceArray in another process", recording.latency_to_faces()
        ),
        LatencyRow(
            "image to profile", "published image to a UserProfile that rests on it", recording.latency_to_profile()
        ),
        LatencyRow("face_perception", "image received to last message published", recording.reported("latency")),
        LatencyRow("outside the models", "work on a frame that is not a network's run", recording.reported("overhead")),
    ]
    known = [stage for stage in STAGES if stage in recording.stages()]
    return rows + [LatencyRow(f"stage {name}", STAGES[name], recording.reported(f"stage {name}")) for name in known]


def _picture(shot: Shot) -> Picture:
    faces = "no face" if shot.faces == 0 else "1 face" if shot.faces == 1 else f"{shot.faces} faces"
    data = base64.b64encode(shot.jpeg).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{data}", f"{shot.moment:.1f} s, {faces}")
