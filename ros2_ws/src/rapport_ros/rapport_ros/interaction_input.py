"""What persons do with content items, as it comes in: stored for who granted consent, dropped with the reason else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

from rclpy.node import Node

from rapport_edge.errors import StoreError
from rapport_edge.store import Consent, InteractionKind, InteractionRecord, ProfileStore
from rapport_msgs.msg import Interaction
from rapport_ros.conversions import stamp_to_seconds
from rapport_ros.diagnostics import DropCounter
from rapport_ros.qos import RESULTS

KIND_FROM_MESSAGE: Mapping[int, InteractionKind] = MappingProxyType(
    {getattr(Interaction, kind.name): kind for kind in InteractionKind}
)


class InteractionInput:
    """Takes the topic `interactions`.

    Args:
        node: owns the subscription.
        lock: held for each message.
        store: the profile store.
        drops: counts what is not stored, by reason.
        stored: called with the id of each person whose behaviour was stored.
    """

    def __init__(
        self,
        node: Node,
        lock: AbstractContextManager[Any],
        store: ProfileStore,
        drops: DropCounter,
        stored: Callable[[str], None],
    ) -> None:
        self._node, self._lock, self._store, self._drops, self._stored = node, lock, store, drops, stored
        self._subscription = node.create_subscription(Interaction, "interactions", self._on_interaction, RESULTS)

    def close(self) -> None:
        """Ends it."""
        self._node.destroy_subscription(self._subscription)

    def _on_interaction(self, message: Interaction) -> None:
        kind = KIND_FROM_MESSAGE.get(message.kind)
        if kind is None:
            self._drops.add("interaction of an unknown kind")
            return
        at = stamp_to_seconds(message.header.stamp)
        record = InteractionRecord(item_id=message.item.id, kind=kind, duration=message.duration, at=at or None)
        with self._lock:
            try:
                person = self._store.find(message.user_id)
                if person is None or person.consent is not Consent.GRANTED:
                    self._drops.add("interaction of nobody known" if person is None else "interaction without consent")
                    return
                self._store.add_interaction(message.user_id, record)
                self._stored(person.user_id)
            except StoreError as error:
                self._drops.add("interaction not stored")
                self._node.get_logger().error(f"an interaction is lost: {error}", throttle_duration_sec=10.0)
