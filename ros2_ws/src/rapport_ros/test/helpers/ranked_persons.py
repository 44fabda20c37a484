"""What the live tests of rankings share: a house whose profile_store has a ranker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from persons import House
from tiny_ranker import write_ranker

from rapport_edge.store import ProfileReader
from rapport_msgs import srv
from rapport_msgs.msg import ContentItem, Interaction
from rapport_ros.qos import RESULTS


class Listener(House):
    """A house in which somebody also says what persons do."""

    def __init__(self, graph: Any, tmp_path: Path, **parameters: Any) -> None:
        bundle = write_ranker(tmp_path / "ranker")
        super().__init__(graph, tmp_path / "profiles.sqlite", rank__bundle_path=str(bundle.path), **parameters)
        self.interactions = self.listener.create_publisher(Interaction, "interactions", RESULTS)
        self.reports = graph.collect(self.listener, DiagnosticArray, "/diagnostics", 10)
        graph.wait_for(self.interactions.get_subscription_count, "the store to take interactions")

    def does(self, user_id: str, item: str, kind: int = Interaction.LIKED) -> None:
        message = Interaction(user_id=user_id, item=ContentItem(id=item), kind=kind, duration=3.0)
        message.header.stamp = self.listener.get_clock().now().to_msg()
        self.interactions.publish(message)

    def stored(self, user_id: str) -> list[str]:
        with ProfileReader.beside_owner(self.database) as reader:
            return [record.item_id for record in reader.interactions(user_id)]

    def rank(self, user_id: str, items: list[ContentItem] | None = None, **fields: Any) -> Any:
        return self.call(srv.RankItems, "rank_items", user_id=user_id, items=items or [], **fields)

    def dropped(self, reason: str) -> int:
        values = {v.key: v.value for report in list(self.reports) for s in report.status for v in s.values}
        return int(values.get(f"dropped {reason}", 0))
