"""The thread that turns frames into results, so that the executor's threads only ever store messages."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

from rapport_ros.image_input import Frame, ImageInput

FAILED = "processing_failed"


class FrameWorker:
    """Takes the newest frame from an input and processes it, until stopped.

    Args:
        source: where frames come from; closed by `stop`.
        process: called with each frame, in this thread.
        idle: called in this thread at least every `IDLE_PERIOD` seconds while no frame comes.
        logger: of the node.
    """

    IDLE_PERIOD = 0.25
    LONGEST_FRAME = 10.0

    def __init__(
        self, source: ImageInput, process: Callable[[Frame], None], idle: Callable[[], None], logger: RcutilsLogger
    ) -> None:
        self._source = source
        self._process = process
        self._idle = idle
        self._logger = logger
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Ends the input and waits for the frame in work; False if that takes longer than `LONGEST_FRAME` seconds."""
        self._stopping.set()
        self._source.close()
        self._thread.join(self.LONGEST_FRAME)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                frame = self._source.take(self.IDLE_PERIOD)
                if frame is None:
                    self._idle()
                else:
                    self._process(frame)
            except Exception:  # noqa: BLE001 - whatever one frame does, the next gets its chance; the log has it all
                self._source.drops.add(FAILED)
                self._logger.error(f"a frame failed:\n{traceback.format_exc()}", throttle_duration_sec=5.0)
