"""Follows faces over frames, with and without a detector's help."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rapport_edge.faces import ByteImage, Detection, Track
from rapport_edge.tracking.association import BoxAssociation
from rapport_edge.tracking.flow import Patch, follow, take_patch
from rapport_edge.tracking.identifiers import track_ids
from rapport_edge.tracking.settings import TrackerSettings

#: Why all tracks ended at once: keys of `FaceTracker.resets`.
CLOCK_BACKWARDS = "clock-backwards"
CLOCK_GAP = "clock-gap"
IMAGE_SIZE = "image-size"


@dataclass(slots=True)
class _State:
    """What the tracker remembers about one face."""

    id: str
    number: int
    face: Detection
    patch: Patch | None
    hits: int = 1
    misses: int = 0
    measured: bool = True
    #: Its place in the last frame is known, from the detector or from the pixels.
    located: bool = True

    def view(self) -> Track:
        return Track(self.id, self.face, self.measured, self.hits, self.misses)


class FaceTracker:
    """Gives faces ids that last.

    `update` takes the detections of a frame that the detector saw, `predict` any frame in between. A face is reported
    after `confirm_hits` detections in a row and no longer after `max_misses` detector runs without it. Landmarks
    always move with the box. Not thread-safe: frames come in order, from one thread.
    """

    def __init__(self, settings: TrackerSettings | None = None, ids: Iterator[str] | None = None) -> None:
        """Starts without tracks.

        Args:
            settings: limits of a track; None for the defaults.
            ids: source of track ids, each given once; default: `track_ids()`.
        """
        self._settings = settings or TrackerSettings()
        self._ids = ids or track_ids()
        self._association = BoxAssociation(self._settings.min_iou)
        self._states: list[_State] = []
        self._time: float | None = None
        self._size: tuple[int, ...] | None = None
        self._resets: Counter[str] = Counter()

    @property
    def resets(self) -> Mapping[str, int]:
        """How often all tracks ended at once, by reason: "clock-backwards", "clock-gap", "image-size"."""
        return MappingProxyType(self._resets)

    @property
    def has_candidates(self) -> bool:
        """True while a face waits to be confirmed: a detector run on the next frame would settle it."""
        return any(state.hits < self._settings.confirm_hits for state in self._states)

    def update(self, detections: Sequence[Detection], image: ByteImage | None, timestamp: float) -> list[Track]:
        """Confirmed tracks after a detector run on this frame.

        Args:
            detections: of this frame; one whose box is empty or not finite is ignored.
            image: (h, w, 3) uint8 RGB; without it, faces that the detector missed stay where they were.
            timestamp: seconds, of the image.

        Raises:
            ValueError: if the timestamp is not finite.
        """
        self._check_continuity(image, timestamp)
        faces = [face for face in detections if _usable(face)]
        before = {state.number: state for state in self._states}
        self._states = []
        for face, number in zip(faces, self._association.step(faces), strict=True):
            state = before.pop(number, None)
            self._states.append(self._hit(state, face) if state else _State(next(self._ids), number, face, None))
        self._states += [state for state in before.values() if self._survives_miss(state, image)]
        return self._finish(image)

    def predict(self, image: ByteImage | None, timestamp: float) -> list[Track]:
        """Confirmed tracks on a frame that no detector saw.

        Args and errors as `update`.
        """
        self._check_continuity(image, timestamp)
        for state in self._states:
            _advance(state, image)
        located = [state for state in self._states if state.located]
        # What was followed feeds the library's filter, too, so that its expectation is as fresh as ours. Who is who is
        # known here from the pixels; should the library see it otherwise, its number changes hands, not our id.
        for state, number in zip(located, self._association.step([state.face for state in located]), strict=True):
            state.number = number
        return self._finish(image)

    def _hit(self, state: _State, face: Detection) -> _State:
        state.face, state.measured, state.located = face, True, True
        state.hits += 1
        state.misses = 0
        return state

    def _survives_miss(self, state: _State, image: ByteImage | None) -> bool:
        state.misses += 1
        _advance(state, image)
        return state.hits >= self._settings.confirm_hits and state.misses <= self._settings.max_misses

    def _finish(self, image: ByteImage | None) -> list[Track]:
        if image is not None:
            self._states = [state for state in self._states if _visible(state.face, image)]
            for state in self._states:
                state.patch = take_patch(image, state.face)
        return [state.view() for state in self._states if state.hits >= self._settings.confirm_hits]

    def _check_continuity(self, image: ByteImage | None, timestamp: float) -> None:
        """Ends all tracks when this frame cannot follow the last one."""
        if not math.isfinite(timestamp):
            raise ValueError(f"a frame's timestamp must be finite, not {timestamp}")
        size = self._size if image is None else image.shape[:2]
        reason = self._discontinuity(size, timestamp)
        self._time, self._size = timestamp, size
        if reason is not None:
            self._resets[reason] += 1
            self._states = []
            self._association = BoxAssociation(self._settings.min_iou)

    def _discontinuity(self, size: tuple[int, ...] | None, timestamp: float) -> str | None:
        if self._time is not None and timestamp < self._time:
            return CLOCK_BACKWARDS
        if self._time is not None and timestamp - self._time > self._settings.max_gap_s:
            return CLOCK_GAP
        if self._size is not None and size != self._size:
            return IMAGE_SIZE
        return None


def _advance(state: _State, image: ByteImage | None) -> None:
    """Moves a face to where its pixels went; where they do not tell, it stays."""
    face = follow(state.patch, image, state.face) if state.patch is not None and image is not None else None
    state.measured, state.located = False, face is not None
    state.face = face or state.face


def _usable(face: Detection) -> bool:
    box = face.box
    return bool(np.isfinite(box).all() and np.isfinite(face.landmarks).all() and (box[2:] > box[:2]).all())


def _visible(face: Detection, image: ByteImage) -> bool:
    """Whether the box's centre is inside the image."""
    x, y = (face.box[:2] + face.box[2:]) / 2.0
    return bool(0 <= x < image.shape[1] and 0 <= y < image.shape[0])
