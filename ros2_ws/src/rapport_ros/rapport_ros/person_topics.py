"""The persons of REP 155: who is in view, who is known, and what others may know of each. Needs hri_msgs.

All properties are latched, as libhri expects them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hri_msgs.msg import IdsList, IdsMatch
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Bool, Header, String

from rapport_edge.profiles.profile import Profile
from rapport_ros import rep155
from rapport_ros.qos import LATCHED, RESULTS

#: What a candidate match says: face id, person id, confidence.
OnMatch = Callable[[str, str, float], None]


class PersonTopics:
    """Publishes persons, and listens to candidate matches between faces and persons.

    Args:
        node: owns the topics.
        on_match: called with each candidate match of a face and a person.
    """

    def __init__(self, node: Node, on_match: OnMatch) -> None:
        self._node = node
        self._on_match = on_match
        self._tracked = node.create_publisher(IdsList, rep155.PERSONS_TRACKED, LATCHED)
        self._known = node.create_publisher(IdsList, rep155.PERSONS_KNOWN, LATCHED)
        self._matches = node.create_subscription(IdsMatch, rep155.CANDIDATE_MATCHES, self._on_ids_match, RESULTS)
        self._persons: dict[str, dict[str, Publisher]] = {}
        self._aliases: dict[str, Publisher] = {}
        self._lists: tuple[list[str], list[str]] | None = None

    def publish(self, profile: Profile) -> None:
        """What others may know of one person."""
        topics = self._persons.get(profile.user_id) or self._open(profile.user_id)
        topics["anonymous"].publish(Bool(data=profile.anonymous))
        topics["face_id"].publish(String(data=profile.face_id))

    def publish_lists(self, tracked: Iterable[str], known: Iterable[str]) -> None:
        """Person ids in view, and all that the robot knows; published when they change."""
        lists = (sorted(tracked), sorted(known))
        if lists == self._lists:
            return
        self._lists = lists
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._tracked.publish(IdsList(header=header, ids=lists[0]))
        self._known.publish(IdsList(header=header, ids=lists[1]))

    def alias(self, gone: str, remaining: str) -> None:
        """A person was merged into another: their id stays valid as an alias."""
        self.drop(gone)
        topic = rep155.person_topic(gone, "alias")
        self._aliases[gone] = self._node.create_publisher(String, topic, LATCHED)
        self._aliases[gone].publish(String(data=remaining))

    def drop(self, person_id: str) -> None:
        """The person is forgotten: their topics end, with everything latched on them."""
        for publisher in self._persons.pop(person_id, {}).values():
            self._node.destroy_publisher(publisher)

    def close(self) -> None:
        """Ends all topics."""
        for person_id in list(self._persons):
            self.drop(person_id)
        for publisher in (*self._aliases.values(), self._tracked, self._known):
            self._node.destroy_publisher(publisher)
        self._node.destroy_subscription(self._matches)

    def _open(self, person_id: str) -> dict[str, Publisher]:
        self._persons[person_id] = {
            name: self._node.create_publisher(kind, rep155.person_topic(person_id, name), LATCHED)
            for name, kind in (("anonymous", Bool), ("face_id", String))
        }
        return self._persons[person_id]

    def _on_ids_match(self, match: IdsMatch) -> None:
        """Either end of a match may be the face."""
        ends = {match.id1_type: match.id1, match.id2_type: match.id2}
        if set(ends) == {IdsMatch.FACE, IdsMatch.PERSON}:
            self._on_match(ends[IdsMatch.FACE], ends[IdsMatch.PERSON], match.confidence)
