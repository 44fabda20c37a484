"""The command `rapport-edge`: one module per subcommand in `rapport_edge.commands`, imported when it is called."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from rapport_edge import __version__, commands
from rapport_edge.errors import RapportError


class UserError(click.ClickException):
    """Shows a `RapportError` as one line; exit status 2, as for bad usage."""

    exit_code = 2


class RapportGroup(click.Group):
    """What a user caused becomes one line and exit status 2; Ctrl-C ends with 130, as shells expect."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand."""
        with _ctrl_c_noted() as noted:
            try:
                return super().invoke(ctx)
            except RapportError as error:
                raise UserError(str(error)) from error
            except MemoryError as error:
                raise UserError(f"there is not enough memory for this ({error}); ask for less at a time") from error
            except KeyboardInterrupt as stop:
                click.echo(str(stop) or "stopped", err=True)
                ctx.exit(130)
            except Exception:
                # Libraries that are interrupted while they are imported fail in ways of their own.
                if not noted.is_set():
                    raise
                click.echo("stopped", err=True)
                ctx.exit(130)


@contextmanager
def _ctrl_c_noted() -> Iterator[threading.Event]:
    """Set once Ctrl-C was pressed, which raises KeyboardInterrupt as ever."""
    noted = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


class LazyGroup(RapportGroup):
    """Finds subcommands by module name: `profiles` is `command` in rapport_edge/commands/profiles.py."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the modules in `rapport_edge.commands`."""
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the module of one subcommand."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{commands.__name__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="rapport-edge")
def main() -> None:
    """What a robot's operator does with bundles and profiles."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
