"""The lifecycle node that all nodes of Rapport derive from: settings in, four hooks, and every refusal said."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Generic

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from rapport_edge.errors import RapportError
from rapport_ros.parameters import SettingsT, StructParameters

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class ManagedNode(LifecycleNode, Generic[SettingsT]):
    """A lifecycle node whose parameters are one settings Struct.

    A subclass implements `set_up` and `tear_down`, and `start` and `stop`, each where it has something to do.
    A hook that raises `RapportError` refuses the transition with that reason; anything else is a mistake in the code
    and is logged with its traceback, which rclpy would swallow.

    Attributes:
        refusal: why the last transition was refused; empty after one that succeeded.
    """

    def __init__(self, name: str, settings_type: type[SettingsT], **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.refusal = ""
        self._parameters_of_struct = StructParameters(self, settings_type)

    def set_up(self, settings: SettingsT) -> None:
        """Loads models, opens files, creates publishers and services. May raise `RapportError`."""

    def tear_down(self) -> None:
        """Undoes `set_up`, also one that stopped half-way."""

    def start(self) -> None:
        """Begins to work on input; publishers may be used from here on."""

    def stop(self) -> None:
        """Ends what `start` began; publishers may still be used."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Validates all parameters and sets up; a refusal leaves nothing behind."""
        result = self._attempt("configure", lambda: self.set_up(self._parameters_of_struct.read()))
        if result is not SUCCESS:
            self._attempt_quietly(self.tear_down)
            return result
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activates publishers, then starts."""
        super().on_activate(state)
        result = self._attempt("activate", self.start)
        if result is not SUCCESS:
            self._attempt_quietly(self.stop)
            super().on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops, then deactivates publishers."""
        result = self._attempt("deactivate", self.stop)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Tears down."""
        return self._attempt("cleanup", self.tear_down)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From any state: stops where active, and tears down."""
        if state.label == "active":
            self.on_deactivate(state)
        return self._attempt("shutdown", self.tear_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a mistake in the code: tears down, so that the node can be configured again."""
        return self._attempt("recover", self.tear_down)

    def _attempt(self, transition: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        self.refusal = ""
        try:
            action()
        except RapportError as error:
            self.refusal = str(error)
            self.get_logger().error(f"{transition} refused: {error}")
            return FAILURE
        except Exception as error:  # noqa: BLE001 - rclpy turns it into ERROR without a word, so it is said here
            self.refusal = f"{type(error).__name__}: {error}"
            self.get_logger().error(f"{transition} failed:\n{traceback.format_exc()}")
            return ERROR
        return SUCCESS

    def _attempt_quietly(self, action: Callable[[], None]) -> None:
        """Cleans up after a refusal without replacing its reason."""
        refusal = self.refusal
        self._attempt("clean up", action)
        self.refusal = refusal
