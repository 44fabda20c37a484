"""Starts and stops the nodes and the player, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from rapport_edge.errors import RapportError
from rapport_ros.harness.nodes_process import NodesEvent
from rapport_ros.playback.player import PlayerEvent, PlayerSettings

#: Seconds that a process may take to end by itself.
PATIENCE = 15.0


class HarnessError(RapportError):
    """The nodes or the player did not start, or ended too early."""


class Child:
    """A Python module as a process that talks in lines. Ends at the latest with the `with` block.

    Args:
        module: run with this interpreter.
        argument: its only one.
        log: standard error goes there.
    """

    def __init__(self, module: str, argument: str, log: Path) -> None:
        self._log: IO[bytes] = log.open("ab")
        # A session of its own: Ctrl-C reaches only us, and we stop the others in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def lines(self, take: Callable[[str], None]) -> threading.Thread:
        """Hands each line of standard output to `take`, in a thread that ends with the process."""

        def read() -> None:
            for line in self._output:
                take(line)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def send(self, line: str) -> None:
        """One line to standard input; a process that ended meanwhile is no error here."""
        try:
            self._input.write(line + "\n")
            self._input.flush()
        except BrokenPipeError:
            return

    def close(self) -> None:
        """Ends standard input, which asks the process to stop; kills it if it does not."""
        with suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class NodesProcess(Child):
    """All nodes of Rapport in one process, as on a robot."""

    LONGEST_START = 180.0

    def __init__(self, params: Path, log: Path) -> None:
        super().__init__("rapport_ros.harness.nodes_process", str(params), log)
        self._log_path = log
        self._event: NodesEvent | None = None
        self._reader = self.lines(self._take)

    def wait_until_ready(self, stop: threading.Event) -> float:
        """Seconds from the start of the process until all nodes were active; 0 if `stop` was set before.

        Raises:
            HarnessError: with the refusal of a node, or where the log is.
        """
        deadline = time.monotonic() + self.LONGEST_START
        while self._event is None and self.is_running and time.monotonic() < deadline and not stop.is_set():
            time.sleep(0.02)
        if not self.is_running:
            self._reader.join(1.0)
        if self._event is None and stop.is_set():
            return 0.0
        if self._event is None:
            raise HarnessError(f"the nodes did not start; see {self._log_path}")
        if self._event.refusal:
            raise HarnessError(self._event.refusal)
        return self._event.ready_after

    def _take(self, line: str) -> None:
        self._event = msgspec.json.decode(line, type=NodesEvent)


class PlayerProcess(Child):
    """Plays pictures like a camera.

    Attributes:
        events: one per published frame.
    """

    def __init__(self, settings: PlayerSettings, log: Path) -> None:
        super().__init__("rapport_ros.playback.player", msgspec.json.encode(settings).decode(), log)
        self._log_path = log
        self._matched = threading.Event()
        self.events: list[PlayerEvent] = []
        self.failure = ""
        self._reader = self.lines(self._take)

    @property
    def is_playing(self) -> bool:
        """False once everything that it said was taken."""
        return self._reader.is_alive()

    def close(self) -> None:
        """As for every child; afterwards `events` is complete."""
        super().close()
        self._reader.join(1.0)

    def wait_until_matched(self, stop: threading.Event) -> None:
        """Returns when the nodes have subscribed, or `stop` is set.

        Raises:
            HarnessError: if the input cannot be played.
        """
        while not self._matched.wait(0.05) and not stop.is_set():
            if not self.is_playing:
                raise HarnessError(self.failure or f"the player did not start; see {self._log_path}")

    def _take(self, line: str) -> None:
        event = msgspec.json.decode(line, type=PlayerEvent)
        if event.kind == "published":
            self.events.append(event)
        elif event.kind == "matched":
            self._matched.set()
        else:
            self.failure = event.reason
