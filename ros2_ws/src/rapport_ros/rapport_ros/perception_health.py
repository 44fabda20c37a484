"""Rates, latencies and drops of face_perception, as its diagnostics show them."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus

from rapport_edge.pipeline import FacePipeline, Recogniser
from rapport_ros.diagnostics import LatencyWindow, RateMeter, Report
from rapport_ros.image_input import UNDECODABLE, ImageInput

#: What the networks themselves take; everything else is overhead, letterbox and suppression too.
NETWORKS = ("detect_network", "encode_network", "recognise_network")


class PerceptionHealth:
    """Collects what each frame cost.

    Attributes:
        models: detector, encoder, engine and model digest in use, as text.
    """

    def __init__(self, pipeline: FacePipeline, recogniser: Recogniser | None) -> None:
        self.models = models_in_use(pipeline, recogniser)
        self._pipeline = pipeline
        self._processed = RateMeter()
        self._latency = LatencyWindow()
        self._overhead = LatencyWindow()
        self._stages: dict[str, LatencyWindow] = {}

    def add_frame(self, stages: Mapping[str, float], total: float, latency: float) -> None:
        """One frame was published.

        Args:
            stages: seconds by stage, and of the networks in them.
            total: seconds of work on this frame.
            latency: seconds from the arrival of the message to the last publication.
        """
        self._processed.tick()
        self._latency.add(latency)
        self._overhead.add(total - sum(stages.get(stage, 0.0) for stage in NETWORKS))
        for stage, seconds in stages.items():
            self._stages.setdefault(stage, LatencyWindow()).add(seconds)

    def report(self, source: ImageInput | None, faces: int) -> Report:
        """The state now; `source` is None while the node is not active."""
        values: dict[str, object] = dict(self.models)
        values["faces in view"] = faces
        values["processed Hz"] = self._processed.rate()
        values["processed"] = self._processed.total
        values |= _windows("latency", self._latency) | _windows("overhead", self._overhead)
        for stage in list(self._stages):
            values |= _windows(f"stage {stage}", self._stages[stage])
        values |= {f"not encoded {reason}": count for reason, count in self._pipeline.refusals.items()}
        values |= {f"tracks reset {reason}": count for reason, count in self._pipeline.resets.items()}
        if source is None:
            return Report("not active", values=values)
        values |= _input_values(source)
        if source.received.rate() == 0.0:
            return Report(f"no image on {source.topic}", DiagnosticStatus.WARN, values)
        if self._processed.rate() == 0.0:
            return Report("images arrive, but all are dropped", DiagnosticStatus.ERROR, values)
        return Report(f"{self._processed.rate():.1f} Hz, {faces} faces", values=values)


def models_in_use(pipeline: FacePipeline, recogniser: Recogniser | None) -> dict[str, str]:
    """Detector, encoder and recogniser with their engines, and the models' digests, as text."""
    models = {"detector": pipeline.detector_description}
    if pipeline.encoder is None:
        models["encoder"] = "none: pipeline.allowed_attributes names nothing that may be estimated"
    else:
        models |= {"encoder": pipeline.encoder.description, "model digest": pipeline.encoder.digest}
    if recogniser is not None:
        models |= {"recogniser": recogniser.encoder.description, "recogniser digest": recogniser.encoder.digest}
    return models


def _input_values(source: ImageInput) -> dict[str, object]:
    values: dict[str, object] = {"image topic": source.topic, "received Hz": source.received.rate()}
    values["received"] = source.received.total
    values |= {f"dropped {reason}": count for reason, count in source.drops.counts().items()}
    if source.drops.counts().get(UNDECODABLE):
        values["last undecodable"] = source.last_undecodable
    values["clock offset s"] = source.clock_offset
    return values | _windows("image age", source.ages)


def _windows(name: str, window: LatencyWindow) -> dict[str, object]:
    return {f"{name} ms {key}": value for key, value in window.percentiles_ms().items()}
