"""From an image to faces with ids, quality and estimates: detect, track, assess, gate, encode, fuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rapport_edge.alignment import CropTemplate, align
from rapport_edge.bundle.manifest import Head
from rapport_edge.detection import FaceDetector
from rapport_edge.encoding import FaceEncoder
from rapport_edge.errors import SettingsError
from rapport_edge.faces import ByteImage, Detection, FaceQuality, FloatArray, Track
from rapport_edge.fusion import TrackFusion
from rapport_edge.pipeline.results import FrameResult, ObservedFace
from rapport_edge.pipeline.settings import PipelineSettings
from rapport_edge.pipeline.stopwatch import Stopwatch
from rapport_edge.quality import QualityGate, assess
from rapport_edge.tracking import FaceTracker


@dataclass(slots=True)
class _Memory:
    """What is kept of a track between frames."""

    fusion: TrackFusion | None
    encoded_at: float = -np.inf
    best_score: float = 0.0


@dataclass(slots=True)
class _Candidate:
    """A face of this frame on its way through the stages."""

    track: Track
    memory: _Memory
    quality: FaceQuality | None = None
    refusal: str | None = None
    encoded: bool = False

    def view(self) -> ObservedFace:
        estimate = self.memory.fusion.estimate() if self.memory.fusion else None
        return ObservedFace(self.track, self.quality, self.refusal, estimate, self.encoded)


class FacePipeline:
    """Processes the frames of one camera in order. Not thread-safe: one thread calls `process`."""

    def __init__(
        self,
        detector: FaceDetector,
        tracker: FaceTracker,
        gate: QualityGate,
        encoder: FaceEncoder | None,
        settings: PipelineSettings,
    ) -> None:
        """Puts the stages together; `create_pipeline` builds them, too.

        Args:
            detector: finds faces.
            tracker: gives them ids.
            gate: holds back poor views.
            encoder: None where the deployment allows no attribute: then nothing is inferred from any face.
            settings: of the pipeline itself; those of the stages have been used to build them.

        Raises:
            SettingsError: if an allowed attribute is not one of the encoder's.
        """
        self._detector = detector
        self._tracker = tracker
        self._gate = gate
        self._encoder = encoder
        self._settings = settings
        self._heads = _allowed_heads(encoder, settings.allowed_attributes)
        self._memories: dict[str, _Memory] = {}
        self._refusals: Counter[str] = Counter()
        self._since_detection = settings.detect_every_n

    @property
    def detector_description(self) -> str:
        """Detector, model and engine, for logs and diagnostics."""
        return self._detector.description

    @property
    def encoder(self) -> FaceEncoder | None:
        """The encoder in use, for its digest and description; None where no attribute is allowed."""
        return self._encoder

    @property
    def refusals(self) -> Mapping[str, int]:
        """Views that were not encoded, by the gate's reason."""
        return MappingProxyType(self._refusals)

    @property
    def resets(self) -> Mapping[str, int]:
        """How often all tracks ended at once, by reason; see `FaceTracker.resets`."""
        return self._tracker.resets

    def process(self, image: ByteImage, stamp: float) -> FrameResult:
        """One frame.

        Args:
            image: (h, w, 3) uint8 RGB, not kept.
            stamp: seconds, of the image.

        Raises:
            ValueError: if the image has another shape or dtype, or the stamp is not finite.
            ModelError: if a model fails; the next frame may be processed as if nothing had happened.
        """
        _check_image(image)
        watch = Stopwatch()
        tracks = self._track(image, stamp, watch)
        removed = self._remember(tracks)
        candidates = [_Candidate(track, self._memories[track.id]) for track in tracks]
        measured = [candidate for candidate in candidates if candidate.track.measured]
        if measured:
            with watch.stage("quality"):
                self._assess(image, measured)
        due = [candidate for candidate in candidates if self._is_due(candidate, stamp)]
        if due and self._encoder is not None:
            self._encode(self._encoder, image, due, stamp, watch)
        return FrameResult(stamp, [candidate.view() for candidate in candidates], watch.seconds, removed)

    def crop(self, image: ByteImage, track: Track) -> ByteImage:
        """The aligned face as the encoder sees it (112 x 112 without one); for those who show or record crops.

        Raises:
            ValueError: if the landmarks coincide.
        """
        template = self._encoder.crop if self._encoder is not None else CropTemplate(112)
        return align(image, track.detection.landmarks, template)

    def _track(self, image: ByteImage, stamp: float, watch: Stopwatch) -> list[Track]:
        """Confirmed tracks of this frame, the largest first."""
        self._since_detection += 1
        if self._since_detection >= self._settings.detect_every_n or self._tracker.has_candidates:
            self._since_detection = 0
            with watch.stage("detect"):
                found = self._detector.detect(image)
            watch.add("detect_network", self._detector.network_seconds)
            detections = sorted(found, key=_area, reverse=True)[: self._settings.max_faces]
            with watch.stage("track"):
                tracks = self._tracker.update(detections, image, stamp)
        else:
            with watch.stage("track"):
                tracks = self._tracker.predict(image, stamp)
        return sorted(tracks, key=lambda track: _area(track.detection), reverse=True)

    def _remember(self, tracks: list[Track]) -> list[str]:
        """Makes room for new tracks, drops what was kept of those that ended, and names the latter."""
        ids = {track.id for track in tracks}
        removed = [key for key in self._memories if key not in ids]
        for key in removed:
            del self._memories[key]
        for key in ids - self._memories.keys():
            self._memories[key] = _Memory(self._new_fusion())
        return removed

    def _new_fusion(self) -> TrackFusion | None:
        if self._encoder is None:
            return None
        return TrackFusion(self._heads, self._encoder.digest, self._settings.fusion)

    def _assess(self, image: ByteImage, candidates: list[_Candidate]) -> None:
        """Quality and refusal of the faces that the detector saw in this frame."""
        for candidate in candidates:
            try:
                candidate.quality = assess(image, candidate.track.detection)
            except ValueError:
                candidate.refusal = "landmarks"
            else:
                candidate.refusal = self._gate.refusal(candidate.quality)
            if candidate.refusal is not None:
                self._refusals[candidate.refusal] += 1

    def _is_due(self, candidate: _Candidate, stamp: float) -> bool:
        """Whether this view is worth an encoding: the first one, a clearly better one, or one after a while."""
        if candidate.quality is None or candidate.refusal is not None:
            return False
        memory, settings = candidate.memory, self._settings
        better = candidate.quality.score > memory.best_score + settings.better_view_margin
        return better or stamp - memory.encoded_at >= settings.reencode_interval_s

    def _encode(
        self, encoder: FaceEncoder, image: ByteImage, due: list[_Candidate], stamp: float, watch: Stopwatch
    ) -> None:
        """All faces that are due, in one batch."""
        with watch.stage("align"):
            crops = np.stack([align(image, face.track.detection.landmarks, encoder.crop) for face in due])
        with watch.stage("encode"):
            encoding = encoder.encode(crops)
        watch.add("encode_network", encoder.network_seconds)
        with watch.stage("fuse"):
            for row, face in enumerate(due):
                probabilities = {name: values[row] for name, values in encoding.probabilities.items()}
                _fuse(face, encoding.embeddings[row], probabilities, stamp)


def _fuse(face: _Candidate, embedding: FloatArray, probabilities: Mapping[str, FloatArray], stamp: float) -> None:
    """Adds an encoded view to what is known of its track."""
    memory, quality = face.memory, face.quality
    if memory.fusion is None or quality is None:
        raise RuntimeError("a face without quality or without fusion was encoded")
    memory.fusion.add(embedding, probabilities, quality.score)
    memory.encoded_at = stamp
    memory.best_score = max(memory.best_score, quality.score)
    face.encoded = True


def _allowed_heads(encoder: FaceEncoder | None, allowed: tuple[str, ...]) -> tuple[Head, ...]:
    """The encoder's heads that the deployment allows."""
    heads = encoder.heads if encoder is not None else ()
    unknown = sorted(set(allowed) - {head.name for head in heads})
    if unknown:
        known = ", ".join(head.name for head in heads) or "none"
        raise SettingsError(
            f"allowed_attributes names {', '.join(unknown)}, but the bundle's attributes are: {known}; "
            "name only those, or choose another bundle"
        )
    return tuple(head for head in heads if head.name in allowed)


def _area(face: Detection) -> float:
    x0, y0, x1, y1 = face.box.tolist()
    return float((x1 - x0) * (y1 - y0))


def _check_image(image: ByteImage) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"the pipeline takes (h, w, 3) uint8 RGB images, not {image.dtype} {image.shape}")
