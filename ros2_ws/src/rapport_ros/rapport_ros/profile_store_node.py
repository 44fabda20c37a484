"""The node profile_store: estimates in, profiles out, and all that a person may demand of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header

from rapport_edge.bundle import load_bundle
from rapport_edge.bundle.manifest import FaceRecognizer, task_of
from rapport_edge.errors import BundleError, StoreError
from rapport_edge.profiles.identity import IdentityMap
from rapport_edge.profiles.item_ranking import ItemRanking
from rapport_edge.profiles.person_manager import PersonManager
from rapport_edge.profiles.profile import Profile
from rapport_edge.profiles.sentence_search import SentenceSearch
from rapport_edge.profiles.suggestions import suggestions_of
from rapport_edge.store import EventKind, ProfileEvent, ProfileStore
from rapport_msgs.msg import DemographicEstimate, FaceArray, UserProfile
from rapport_ros import rep155
from rapport_ros.diagnostics import DiagnosticsPublisher, DropCounter, RateMeter, Report
from rapport_ros.estimate_input import EstimateError, checked_estimate, checked_identity
from rapport_ros.interaction_input import InteractionInput
from rapport_ros.managed_node import ManagedNode
from rapport_ros.profile_messages import event_message, profile_message
from rapport_ros.profile_services import Models, ProfileServices
from rapport_ros.profile_store_settings import ProfileStoreSettings, database_path
from rapport_ros.profile_topics import ProfileTopics
from rapport_ros.qos import RESULTS
from rapport_ros.runner import run_node
from rapport_ros.suggestion_worker import SuggestionWorker

if TYPE_CHECKING:
    from rapport_ros.person_topics import PersonTopics

TICK_PERIOD = 0.1
#: How many known persons /humans/persons/known lists at most.
MOST_KNOWN = 1000
GONE = (EventKind.FORGOTTEN, EventKind.EXPIRED, EventKind.MERGED)


class ProfileStoreNode(ManagedNode[ProfileStoreSettings]):
    """Thin shell over `PersonManager` and `ProfileStore`.

    The database is open from configure to cleanup; topics and services are there while active. Callbacks come from
    several threads; one lock keeps them apart.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._lock = threading.RLock()
        self._store: ProfileStore | None = None
        self._people: PersonManager | None = None
        self._topics: ProfileTopics | None = None
        self._person_topics: PersonTopics | None = None
        self._models: Models | None = None
        self._suggestion_worker: SuggestionWorker | None = None
        self._offers: ProfileServices | None = None
        self._interactions: InteractionInput | None = None
        self._diagnostics: DiagnosticsPublisher | None = None
        self._inputs: list[Any] = []
        self._timers_of_node: list[Any] = []
        self._headers: dict[str, Header] = {}
        self._events: list[ProfileEvent] = []
        super().__init__("profile_store", ProfileStoreSettings, **kwargs)

    def set_up(self, settings: ProfileStoreSettings) -> None:
        """Opens and checks the database."""
        self._settings = settings
        self._estimates, self._published, self._drops = RateMeter(), RateMeter(), DropCounter()
        recogniser = _recogniser(settings.recognizer_bundle)
        search, ranking = SentenceSearch(settings.find), ItemRanking(settings.rank)
        path = database_path(settings.database)
        self._store = ProfileStore(path, settings.store, self._now, self._on_store_event)
        digest, threshold = recogniser or (None, 1.0)
        identities = IdentityMap(settings.identity, threshold)
        suggestions = suggestions_of(self._store, ranking, settings.rank.suggestions, self._now)
        self._models = Models(search, ranking, suggestions)
        self._people = PersonManager(self._store, identities, settings.persons, digest, suggestions=suggestions)
        self._purge()
        self._diagnostics = DiagnosticsPublisher(self, self._report)
        known = self._store.profiles(limit=0, include_anonymous=False).total
        self.get_logger().info(
            f"{path}: {known} known persons; recogniser: {digest or 'none'}; "
            f"search by sentence: {self._models.search.obstacle or 'ready'}; "
            f"ranking of items: {self._models.ranking.obstacle or 'ready'}"
        )

    def tear_down(self) -> None:
        """Closes the database; anonymous persons are gone."""
        if self._diagnostics is not None:
            self._diagnostics.close()
        if self._store is not None:
            self._store.close()
        if self._models is not None:
            self._models.ranking.close()
        self._diagnostics = self._store = self._people = self._models = None

    def start(self) -> None:
        """Opens topics and services."""
        assert self._store is not None and self._people is not None and self._models is not None
        self._topics = ProfileTopics(self)
        if rep155.is_installed():
            from rapport_ros.person_topics import PersonTopics

            self._person_topics = PersonTopics(self, self._on_match)
        self._offers = ProfileServices(
            self, self._lock, self._store, self._people, self._models, self._message, self._publish_changes
        )
        self._interactions = InteractionInput(self, self._lock, self._store, self._drops, self._people.behaved)
        if self._models.suggestions is not None:
            self._suggestion_worker = SuggestionWorker(
                self._models.suggestions, self._on_suggestions, self.get_logger()
            )
        self._inputs = [
            self.create_subscription(DemographicEstimate, "demographics", self._on_estimate, RESULTS),
            self.create_subscription(FaceArray, "faces", self._on_faces, RESULTS),
        ]
        self._timers_of_node = [
            self.create_timer(TICK_PERIOD, self._tick),
            self.create_timer(self._settings.purge_interval, self._purge),
        ]

    def stop(self) -> None:
        """Writes what is not written yet, says that nobody is in view, and ends topics and services."""
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        for timer in self._timers_of_node:
            self.destroy_timer(timer)
        self._inputs, self._timers_of_node = [], []
        if self._suggestion_worker is not None:
            self._suggestion_worker.stop()
            self._suggestion_worker = None
        with self._lock:
            if self._people is not None and self._topics is not None:
                self._people.lose(list(self._people.in_view.values()))
                self._publish_changes()
            for part in (self._interactions, self._offers, self._topics, self._person_topics):
                if part is not None:
                    part.close()
            self._interactions = self._offers = self._topics = self._person_topics = None

    def _on_estimate(self, message: DemographicEstimate) -> None:
        try:
            estimate, view = checked_estimate(message), checked_identity(message)
        except EstimateError as error:
            self._drops.add(str(error))
            return
        self._estimates.tick()
        with self._lock:
            if self._people is not None:
                self._headers[message.face_id] = message.header
                self._people.observe(message.face_id, estimate, view)
                self._publish_changes()

    def _on_faces(self, message: FaceArray) -> None:
        with self._lock:
            if self._people is None:
                return
            self._people.see(face.id for face in message.faces)
            self._people.lose(message.removed)
            self._headers.update((face.id, message.header) for face in message.faces if face.id not in self._headers)
            if message.removed:
                self._publish_changes()
                for face_id in message.removed:
                    self._headers.pop(face_id, None)

    def _on_match(self, face_id: str, person_id: str, confidence: float) -> None:
        with self._lock:
            if self._people is None:
                return
            try:
                self._people.match(face_id, person_id, confidence)
            except StoreError as error:
                self._drops.add("candidate match with a malformed person id")
                self.get_logger().warning(f"a candidate match is ignored, like all of its kind: {error}", once=True)
                return
            self._publish_changes()

    def _on_suggestions(self, user_id: str) -> None:
        with self._lock:
            if self._people is not None:
                self._people.behaved(user_id)

    def _on_store_event(self, event: ProfileEvent) -> None:
        with self._lock:
            self._events.append(event)
            if self._people is not None:
                self._people.on_event(event)

    def _tick(self) -> None:
        with self._lock:
            if self._people is not None:
                self._people.tick()
                self._publish_changes()

    def _purge(self) -> None:
        assert self._store is not None
        try:
            self._store.purge_expired()
        except StoreError as error:
            self.get_logger().error(f"data whose time has ended could not be deleted yet: {error}")

    def _publish_changes(self) -> None:
        """Events first, then profiles; who is gone leaves the topics."""
        with self._lock:
            if self._people is None or self._topics is None:
                return
            profiles = self._people.take_changes()
            events, self._events = self._events, []
            for event in events:
                self._publish_event(event)
            for profile in profiles:
                self._published.tick()
                self._topics.publish(self._message(profile))
                if self._person_topics is not None:
                    self._person_topics.publish(profile)
            if self._person_topics is not None and (events or profiles):
                self._person_topics.publish_lists(self._people.in_view, self._known())

    def _publish_event(self, event: ProfileEvent) -> None:
        assert self._topics is not None
        self._topics.publish_event(event_message(event))
        if event.kind not in GONE:
            return
        self._topics.drop(event.user_id)
        if self._person_topics is not None:
            self._person_topics.drop(event.user_id)
            if event.kind is EventKind.MERGED:
                self._person_topics.alias(event.user_id, event.other_user_id)

    def _known(self) -> list[str]:
        """Persons in view and persons who are stored."""
        assert self._store is not None and self._people is not None
        try:
            stored = self._store.profiles(MOST_KNOWN, include_anonymous=False).profiles
        except StoreError:
            stored = ()
        return sorted({*self._people.in_view, *(record.user_id for record in stored)})

    def _message(self, profile: Profile) -> UserProfile:
        """Stamped as the newest image that showed the person, or now for who is out of sight."""
        header = self._headers.get(profile.face_id) or Header(stamp=self.get_clock().now().to_msg())
        return profile_message(profile, header)

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def _report(self) -> Report:
        with self._lock:
            people, models = self._people, self._models
            assert people is not None and models is not None
            values: dict[str, Any] = {
                "persons in view": len(people.in_view),
                "estimates Hz": self._estimates.rate(),
                "profiles Hz": self._published.rate(),
                "store failures": people.store_calls.failures,
                "persons not written yet": people.unsaved,
                "last store failure": people.store_calls.last_failure or "none",
                "recogniser": self._settings.recognizer_bundle or "none",
                "search by sentence": models.search.obstacle or "ready",
                "ranking of items": models.ranking.obstacle or "ready",
            }
            if models.suggestions is not None:
                values["last failed suggestion"] = models.suggestions.last_failure or "none"
            values |= {f"dropped {reason}": count for reason, count in self._drops.counts().items()}
            if people.store_calls.last_failure:
                return Report(
                    f"profiles are kept in memory only: {people.store_calls.last_failure}",
                    DiagnosticStatus.ERROR,
                    values,
                )
            return Report(f"{len(people.in_view)} persons in view", values=values)


def _recogniser(folder: str) -> tuple[str, float] | None:
    """Digest and threshold of the face recogniser that the operator names."""
    if not folder:
        return None
    bundle = load_bundle(Path(folder).expanduser())
    if not isinstance(bundle.manifest, FaceRecognizer):
        raise BundleError(f"{folder} is a {task_of(bundle.manifest)} bundle; recognizer_bundle needs a face-recognizer")
    return bundle.digest, bundle.manifest.match_threshold


def main() -> None:
    """Runs the node alone; whoever started it drives its lifecycle."""
    run_node(ProfileStoreNode)


if __name__ == "__main__":
    main()
