"""Plays an input to the nodes, prints what they publish, and writes the report."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tqdm import tqdm

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError
from rapport_edge.faces import ByteImage
from rapport_ros.demo import results
from rapport_ros.demo.console import ProfileLines, counts
from rapport_ros.demo.gallery import Gallery
from rapport_ros.demo.report import render
from rapport_ros.harness.recording import ProfileReceived, Recording
from rapport_ros.harness.trial import Listeners, TrialSettings, run_trial
from rapport_ros.playback.factory import open_source
from rapport_ros.playback.player import PlayerSettings
from rapport_ros.runner import ros_context
from rapport_ros.stop_signals import stop_signals

TOPIC = "image"


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demo does.

    Attributes:
        player: what is played; its topic is not looked at.
        params: ROS parameter file of the nodes.
        bundle: folder of the encoder's bundle; None leaves it to the parameter file.
        out: folder of the report.
    """

    player: PlayerSettings
    params: Path
    bundle: Path | None
    out: Path


class Progress:
    """Profiles as lines, and below them how far the player is."""

    def __init__(self, recording: Recording, length: int | None, say: Callable[[str], None]) -> None:
        self._recording = recording
        self._lines = ProfileLines()
        self._say = say
        self._bar = tqdm(total=length, unit=" frames", leave=False, disable=None)

    def on_ready(self, seconds: float) -> None:
        """The nodes are active."""
        self._write(f"nodes ready after {seconds:.1f} s")

    def on_profile(self, profile: ProfileReceived) -> None:
        """A profile message came."""
        line = self._lines.line(profile, self._recording.started)
        if line is not None:
            self._write(line)

    def on_progress(self, frames: int) -> None:
        """So many frames were published."""
        self._bar.update(frames - self._bar.n)

    def close(self) -> None:
        """Takes the bar away."""
        self._bar.close()

    def _write(self, line: str) -> None:
        with tqdm.external_write_mode():
            self._say(line)


def run_demo(settings: DemoSettings, say: Callable[[str], None]) -> bool:
    """Runs once; Ctrl-C ends it early, and the report is written all the same.

    Returns:
        Whether a face was profiled and the input was played as far as it was asked for.

    Raises:
        SourceError: if the input cannot be played.
        HarnessError: if a node refuses its parameters.
        SettingsError: if the folder for the report cannot be written.
    """
    source = open_source(settings.player.source)
    log = prepare(settings.out)
    recording = Recording(description=source.description)
    say(f"playing {source.description}")
    compressed = settings.player.compressed or source.transport == "compressed"
    topic = f"{TOPIC}/compressed" if compressed else TOPIC
    overrides = {"face_perception": {"image.topic": topic, "image.transport": "compressed" if compressed else "raw"}}
    if settings.bundle is not None:
        overrides["face_perception"]["pipeline.bundle_path"] = str(settings.bundle.expanduser().absolute())
    player = msgspec.structs.replace(settings.player, topic=topic)
    trial = TrialSettings(settings.params, overrides, player, log)
    gallery = Gallery()

    def on_annotated(image: ByteImage, faces: int, received: float) -> None:
        gallery.offer(image, faces, max(0.0, received - recording.started))

    progress = Progress(recording, source.length, say)
    listeners = Listeners(progress.on_ready, progress.on_profile, progress.on_progress, on_annotated)
    with ros_context([]), stop_signals() as stop:
        try:
            run_trial(trial, listeners, recording, stop)
        finally:
            progress.close()
        write(settings.out, recording, gallery)
        say(conclusion(settings.out, recording, stop))
    return bool(recording.final_profiles) and not recording.failure


def prepare(out: Path) -> Path:
    """Makes the folder, and an empty log in it.

    Raises:
        SettingsError: if it cannot be written.
    """
    log = out / "nodes.log"
    try:
        out.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        raise SettingsError(f"the report's folder {out} cannot be written: {error.strerror or error}") from error
    return log


def write(out: Path, recording: Recording, gallery: Gallery) -> None:
    """Writes profiles.json and report.html, each whole or not at all.

    Raises:
        SettingsError: if the folder is full or gone.
    """
    try:
        write_atomically(out / "profiles.json", results.encode(results.results(recording)))
        write_atomically(out / "report.html", render(recording, gallery.shots).encode())
    except OSError as error:
        raise SettingsError(f"the report cannot be written to {out}: {error.strerror or error}") from error


def conclusion(out: Path, recording: Recording, stop: threading.Event) -> str:
    """The last lines."""
    lines = ["interrupted"] if stop.is_set() else []
    lines.append(counts(recording))
    faces, profile = recording.latency_to_faces(), recording.latency_to_profile()
    if faces.p50 is not None and profile.p50 is not None:
        lines.append(f"median latency: image to faces {faces.p50:.1f} ms, image to profile {profile.p50:.1f} ms")
    if recording.failure:
        lines.append(f"ended early: {recording.failure}")
    found = len(recording.final_profiles)
    lines.append(f"{found} profile{'s' if found > 1 else ''}" if found else nobody(recording))
    lines.append(f"report: {out / 'report.html'}, {out / 'profiles.json'}; log: {out / 'nodes.log'}")
    return "\n".join(lines)


def nobody(recording: Recording) -> str:
    """Why there is no profile."""
    faces = {face_id for item in recording.faces for face_id in item.ids}
    if not faces:
        return "no face was profiled: none was seen"
    refused = ", ".join(f"{count} too poor ({reason})" for reason, count in sorted(recording.not_encoded.items()))
    return f"no face was profiled: {len(faces)} seen, of their views {refused or 'none was encoded'}"
