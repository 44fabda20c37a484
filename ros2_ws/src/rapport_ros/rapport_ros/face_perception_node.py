"""The node face_perception: camera images in, faces and demographic estimates out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rapport_edge.pipeline import FacePipeline, Recogniser, create_pipeline, create_recogniser
from rapport_ros.conversions import stamp_to_seconds
from rapport_ros.diagnostics import DiagnosticsPublisher, Report
from rapport_ros.face_outputs import FaceOutputs
from rapport_ros.face_perception_settings import FacePerceptionSettings
from rapport_ros.frame_worker import FrameWorker
from rapport_ros.image_input import Frame, ImageInput
from rapport_ros.managed_node import ManagedNode
from rapport_ros.perception_health import PerceptionHealth
from rapport_ros.runner import run_node


class FacePerceptionNode(ManagedNode[FacePerceptionSettings]):
    """Thin shell over `FacePipeline`: images in by `ImageInput`, results out by `FaceOutputs`, one thread between them.

    Subscribes only while active.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._pipeline: FacePipeline | None = None
        self._recogniser: Recogniser | None = None
        self._outputs: FaceOutputs | None = None
        self._health: PerceptionHealth | None = None
        self._diagnostics: DiagnosticsPublisher | None = None
        self._input: ImageInput | None = None
        self._worker: FrameWorker | None = None
        super().__init__("face_perception", FacePerceptionSettings, **kwargs)

    def set_up(self, settings: FacePerceptionSettings) -> None:
        """Loads detector, tracker and encoder, and announces the topics."""
        self._settings = settings
        self._pipeline = create_pipeline(settings.pipeline)
        self._recogniser = self._create_recogniser(settings)
        self._outputs = FaceOutputs(self, settings.face_width, settings.face_height, self._identity_digest())
        self._health = PerceptionHealth(self._pipeline, self._recogniser)
        self._diagnostics = DiagnosticsPublisher(self, self._report)
        self.get_logger().info("; ".join(f"{key}: {value}" for key, value in self._health.models.items()))

    def tear_down(self) -> None:
        """Gives models and topics back."""
        if self._diagnostics is not None:
            self._diagnostics.close()
        if self._outputs is not None:
            self._outputs.close()
        self._diagnostics = self._outputs = self._health = self._pipeline = self._recogniser = None

    def start(self) -> None:
        """Subscribes to the camera."""
        self._input = ImageInput(self, self._settings.image)
        self._worker = FrameWorker(self._input, self._process, self._idle, self.get_logger())

    def stop(self) -> None:
        """Unsubscribes, finishes the frame in work, and says that no face is in view any more."""
        if self._worker is not None and not self._worker.stop():
            self.get_logger().error("the frame in work does not end; its results are given up")
        if self._outputs is not None:
            self._outputs.clear()
        self._worker = self._input = None

    @staticmethod
    def _create_recogniser(settings: FacePerceptionSettings) -> Recogniser | None:
        if not settings.recognizer_bundle:
            return None
        folder = Path(settings.recognizer_bundle).expanduser()
        return create_recogniser(folder, settings.pipeline.engine, settings.pipeline.reencode_interval_s)

    def _process(self, frame: Frame) -> None:
        assert self._pipeline is not None and self._outputs is not None and self._health is not None
        stamp = stamp_to_seconds(frame.header.stamp) or self.get_clock().now().nanoseconds * 1e-9
        started = time.monotonic()
        result = self._pipeline.process(frame.image, stamp)
        estimated = time.monotonic()
        identities = self._recogniser.views(frame.image, result) if self._recogniser is not None else {}
        recognised = time.monotonic()
        self._outputs.publish(frame.image, frame.header, result, identities)
        done = time.monotonic()
        stages = {"decode": frame.decode_seconds, **result.timings, "publish": done - recognised}
        if self._recogniser is not None and identities:
            stages["recognise"] = recognised - estimated
            stages["recognise_network"] = self._recogniser.encoder.network_seconds
        self._health.add_frame(stages, total=frame.decode_seconds + done - started, latency=done - frame.received)

    def _identity_digest(self) -> str:
        return self._recogniser.encoder.digest if self._recogniser is not None else ""

    def _idle(self) -> None:
        assert self._outputs is not None
        self._outputs.keep_alive(self._settings.image.silence)

    def _report(self) -> Report:
        assert self._health is not None and self._outputs is not None
        return self._health.report(self._input, len(self._outputs.in_view))


def main() -> None:
    """Runs the node alone; whoever started it drives its lifecycle."""
    run_node(FacePerceptionNode)


if __name__ == "__main__":
    main()
