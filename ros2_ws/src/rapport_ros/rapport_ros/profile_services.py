"""The services and the action of the profile store: every request is audited, also a refused one; refusals say why.

In the audit an id that is nobody's is left out, because it may be a name; while the database cannot be written, the
node's log says so instead.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from rclpy.action import ActionServer
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from rapport_edge.errors import RapportError, StoreError
from rapport_edge.profiles.item_ranking import ItemRanking
from rapport_edge.profiles.person_manager import PersonManager
from rapport_edge.profiles.profile import Profile, assemble
from rapport_edge.profiles.sentence_search import SentenceSearch
from rapport_edge.profiles.suggestions import Suggestions
from rapport_edge.store import ProfileStore, StoreBusyError
from rapport_msgs import action, srv
from rapport_msgs.msg import UserProfile
from rapport_ros.conversions import floats
from rapport_ros.profile_messages import CONSENT_FROM_MESSAGE, candidate_item, ranked_message

NO_WRITER = "profiles are written by a profile-writer bundle, and this node has none"

_Handler = Callable[[Any, Any], None]

DEFAULT_LISTED = 100
DEFAULT_FOUND = 10
#: The audit log takes names of this length.
MOST_OF_ACTOR = 200
UNNAMED = "(unnamed)"


@dataclass(frozen=True)
class Models:
    """What answers with more than the store's rows.

    Attributes:
        search: sentences to queries.
        ranking: items to an order.
        suggestions: what profiles suggest; None for nothing.
    """

    search: SentenceSearch
    ranking: ItemRanking
    suggestions: Suggestions | None = None


class ProfileServices:
    """Answers requests about persons.

    Args:
        node: owns the services; they are `~/get_profile` and so on.
        lock: held while the store and the persons in view are asked, not while items are ranked.
        store: the profile store.
        people: who is in view.
        models: for finding persons, and for ranking and suggesting items.
        to_message: a profile as its message, stamped.
        changed: called after each request that may have changed something.
    """

    def __init__(
        self,
        node: Node,
        lock: AbstractContextManager[Any],
        store: ProfileStore,
        people: PersonManager,
        models: Models,
        to_message: Callable[[Profile], UserProfile],
        changed: Callable[[], None],
    ) -> None:
        self._node = node
        self._lock = lock
        self._store = store
        self._people = people
        self._models = models
        self._to_message = to_message
        self._changed = changed
        # A ranking takes the time of many items; meanwhile the node's other callbacks go on.
        beside = MutuallyExclusiveCallbackGroup()
        handlers: tuple[tuple[str, str, Any, _Handler, CallbackGroup | None], ...] = (
            ("get_profile", "get", srv.GetProfile, self._get_profile, beside),
            ("list_profiles", "list", srv.ListProfiles, self._locked(self._list_profiles), None),
            ("set_consent", "consent", srv.SetConsent, self._locked(self._set_consent), None),
            ("forget_user", "forget", srv.ForgetUser, self._locked(self._forget_user), None),
            ("export_user", "export", srv.ExportUser, self._locked(self._export_user), None),
            ("merge_users", "merge", srv.MergeUsers, self._locked(self._merge_users), None),
            ("find_users", "find", srv.FindUsers, self._locked(self._find_users), None),
            ("rank_items", "rank", srv.RankItems, self._rank_items, beside),
        )
        self._services = [
            node.create_service(kind, f"~/{name}", self._guarded(what, handler), callback_group=group)
            for name, what, kind, handler, group in handlers
        ]
        self._writer = ActionServer(node, action.WriteProfile, "~/write_profile", self._write_profile)

    def close(self) -> None:
        """Ends all of them."""
        for service in self._services:
            self._node.destroy_service(service)
        self._writer.destroy()

    def _guarded(self, what: str, handler: _Handler) -> Callable[[Any, Any], Any]:
        """Refuses a request without requester, and turns the store's errors into reasons and entries of the audit.

        A mistake in the code becomes a refusal, too, and its traceback is logged.
        """

        def answer(request: Any, response: Any) -> Any:
            try:
                if not request.requester.strip():
                    raise StoreError("requester is empty; the audit log needs to know who asks")
                handler(request, response)
                response.success = True
            except RapportError as error:
                response.success, response.message = False, str(error)
                self._note_failure(request, what, error)
            except Exception as error:  # noqa: BLE001 - who asked would wait for an answer for ever
                self._node.get_logger().error(f"{what} failed:\n{traceback.format_exc()}")
                response.success, response.message = False, f"{what} failed: {type(error).__name__}: {error}"
            self._changed()
            return response

        return answer

    def _locked(self, handler: _Handler) -> _Handler:
        """The handlers that are done at once; the others hold the lock where they need it."""

        def answer(request: Any, response: Any) -> None:
            with self._lock:
                handler(request, response)

        return answer

    def _note_failure(self, request: Any, what: str, error: RapportError) -> None:
        actor, outcome = request.requester.strip()[:MOST_OF_ACTOR] or UNNAMED, f"failed: {type(error).__name__}"
        try:
            self._store.record_request(actor, what, getattr(request, "user_id", ""), outcome)
        except StoreError as unwritten:
            self._node.get_logger().error(f"{what} failed, and the audit log could not be told: {unwritten}")

    def _get_profile(self, request: Any, response: Any) -> None:
        """With the suggestions that rest on all that the person has done."""
        if self._models.suggestions is not None:
            with self._lock:
                user_id = self._asked_for(request).user_id
            self._models.suggestions.renew(user_id)
        with self._lock:
            profile = self._asked_for(request)
            self._store.record_request(request.requester, "get", profile.user_id, "handed out")
            response.profile = self._to_message(profile)

    def _asked_for(self, request: Any) -> Profile:
        if bool(request.user_id) == bool(request.face_id):
            raise StoreError("give either user_id or face_id")
        if request.user_id:
            self._store.get(request.user_id)
            profile = self._people.profile(request.user_id)
        else:
            profile = self._people.profile_of_face(request.face_id)
        if profile is None:
            raise StoreError(f"no person is seen in face {request.face_id!r} now")
        return profile

    def _list_profiles(self, request: Any, response: Any) -> None:
        limit = request.limit or DEFAULT_LISTED
        page = self._store.profiles(limit, request.offset, request.include_anonymous)
        self._store.record_request(request.requester, "list", "", f"{len(page.profiles)} profiles")
        in_view = self._people.in_view
        response.total = page.total
        response.profiles = [self._to_message(assemble(r, in_view.get(r.user_id, ""))) for r in page.profiles]

    def _set_consent(self, request: Any, response: Any) -> None:
        consent = CONSENT_FROM_MESSAGE.get(request.consent)
        if consent is None:
            raise StoreError(f"consent {request.consent} is none of UserProfile.CONSENT_*")
        profile = self._people.set_consent(request.user_id, consent, request.requester, request.evidence)
        response.profile = self._to_message(profile)

    def _forget_user(self, request: Any, response: Any) -> None:
        result = self._store.forget(request.user_id, request.requester)
        response.deleted = result.rows
        if not result.traces_erased:
            raise StoreBusyError(
                "the rows are deleted, but their traces on the disk are not overwritten yet, because another program "
                "reads the database or the disk is full; the store tries again at its next purge"
            )

    def _export_user(self, request: Any, response: Any) -> None:
        response.json = self._store.export(request.user_id, request.requester).decode()

    def _merge_users(self, request: Any, response: Any) -> None:
        profile = self._people.merge(request.user_id, request.other_user_id, request.requester)
        response.profile = self._to_message(profile)

    def _find_users(self, request: Any, response: Any) -> None:
        """Only persons with granted consent are searched; the audit holds how many were found, not the sentence."""
        query = self._models.search.query(request.sentence)
        matches = self._store.candidates(query.embedding, query.model_digest, request.limit or DEFAULT_FOUND)
        found = [(p, m.similarity) for m in matches if (p := self._people.profile(m.user_id)) is not None]
        self._store.record_request(request.requester, "find", "", f"{len(found)} profiles")
        response.profiles = [self._to_message(profile) for profile, _ in found]
        response.scores = floats([similarity for _, similarity in found])
        if query.unknown:
            response.message = f"not understood and left out: {', '.join(query.unknown)}"

    def _rank_items(self, request: Any, response: Any) -> None:
        """Behaviour is read of who granted consent only; the audit holds how many items were ranked, not which."""
        candidates = [candidate_item(item) for item in request.items]
        now = self._node.get_clock().now().nanoseconds * 1e-9
        ranking = self._models.ranking.rank(self._store, request.user_id, candidates, request.limit or None, now)
        self._store.record_request(request.requester, "rank", request.user_id, f"{len(ranking.items)} items")
        response.items = [ranked_message(item) for item in ranking.items]
        response.message = ranking.remark

    def _refuse_to_write(self, request: Any, response: Any) -> None:
        raise StoreError(NO_WRITER)

    def _write_profile(self, goal: ServerGoalHandle) -> Any:
        """Aborts with the reason: a rejected goal could not carry one."""
        result = action.WriteProfile.Result()
        self._guarded("write", self._refuse_to_write)(goal.request, result)
        goal.abort()
        return result
