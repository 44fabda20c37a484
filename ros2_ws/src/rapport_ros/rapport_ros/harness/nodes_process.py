"""The process that runs all nodes as `rapport up` does, for whoever plays images to them.

It takes a parameter file as argument, writes one `NodesEvent` as a line of JSON to standard output, and stops when
standard input ends, so that it never outlives whoever started it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from rapport_edge.errors import RapportError
from rapport_ros.stop_signals import StoppedError, stop_signals
from rapport_ros.up import process_age, run_all


class NodesEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the start.

    Attributes:
        ready_after: seconds from the start of the process until all nodes were active.
        refusal: why they are not; empty when they are.
    """

    ready_after: float = 0.0
    refusal: str = ""


def _stop_at_end_of_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(event: NodesEvent) -> None:
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Exit status 2 when a node refuses its parameters; a signal before all are ready ends it with its own status."""
    threading.Thread(target=_stop_at_end_of_input, name="standard input", daemon=True).start()
    told = threading.Event()

    def say(text: str) -> None:
        if not told.is_set():
            _tell(NodesEvent(ready_after=process_age()))
            told.set()
        print(text, file=sys.stderr)

    with stop_signals() as stop:
        try:
            run_all(Path(sys.argv[1]), "", (), say, stop)
        except StoppedError as stopped:
            print(stopped, file=sys.stderr)
            sys.exit(stop.exit_status)
        except RapportError as error:
            _tell(NodesEvent(refusal=str(error)))
            sys.exit(2)


if __name__ == "__main__":
    main()
