"""The thread that ranks for profiles what to suggest, so that no estimate waits for a ranking."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

from rapport_edge.profiles.suggestions import Suggestions


class SuggestionWorker:
    """Renews suggestions that are outdated, until stopped.

    Args:
        suggestions: of the persons of one store.
        renewed: called in this thread with the id of each person whose suggestions have changed.
        logger: of the node.
    """

    IDLE_PERIOD = 0.25
    LONGEST_RANKING = 10.0

    def __init__(self, suggestions: Suggestions, renewed: Callable[[str], None], logger: RcutilsLogger) -> None:
        self._suggestions, self._renewed, self._logger = suggestions, renewed, logger
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="suggestions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Waits for the ranking in work, but not longer than `LONGEST_RANKING` seconds."""
        self._stopping.set()
        self._thread.join(self.LONGEST_RANKING)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                user_id = self._suggestions.outdated(self.IDLE_PERIOD)
                if user_id is not None and self._suggestions.renew(user_id):
                    self._renewed(user_id)
            except Exception:  # noqa: BLE001 - whatever one ranking does, the next gets its chance; the log has it all
                self._logger.error(f"a ranking failed:\n{traceback.format_exc()}", throttle_duration_sec=5.0)
