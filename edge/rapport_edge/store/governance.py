"""What persons and operators may demand: consent, deletion, a copy, a merger, an end to keeping data."""

from __future__ import annotations

import msgspec

from rapport_edge.errors import StoreError
from rapport_edge.store.audit import append_audit
from rapport_edge.store.connection import transaction
from rapport_edge.store.consent import REFUSALS, Consent, check_transition, stronger
from rapport_edge.store.erasure import compact, delete_user, erase_traces
from rapport_edge.store.export import export_json
from rapport_edge.store.merge import merge_users, older_first
from rapport_edge.store.owner import DatabaseOwner
from rapport_edge.store.reader import Located
from rapport_edge.store.records import (
    AuditRecord,
    ConsentRecord,
    EventKind,
    ForgetResult,
    ProfileEvent,
    ProfileRecord,
    PurgeReport,
    Request,
    checked,
)
from rapport_edge.store.retention import clock_leapt, delete_expired, expired_users
from rapport_edge.store.transfer import copy_user
from rapport_edge.store.users import add_alias, consent_of, insert_user, read_profile, record_consent


class GovernedStore(DatabaseOwner):
    """The part of `ProfileStore` that acts on requests: each is written to the audit log."""

    def set_consent(self, user_id: str, consent: Consent, actor: str, evidence: str = "") -> ProfileRecord:
        """Record a person's decision and act on it at once; saying the same again changes nothing.

        "granted" moves the person from memory to the disk. "denied" and "withdrawn" delete everything but the decision,
        which is then remembered in memory.

        Args:
            user_id: of a known person.
            consent: the decision.
            actor: who says so, such as "self" or an operator's name.
            evidence: how the person decided; kept with the person's data and deleted with it.

        Raises:
            ConsentError: the change is not possible.
            UnknownUserError: nobody is known by this id.
        """
        checked(Request(actor=actor, evidence=evidence))
        with self._changing() as events:
            located, at = self._require(user_id), self._now()
            old = consent_of(located.db, located.user_id)
            if consent is old:
                self._append(self._entry(actor, "consent", located.user_id, f"{consent.value} already", at))
                return read_profile(*located)
            check_transition(located.user_id, old, consent)
            record = ConsentRecord(consent=consent, actor=actor, evidence=evidence, at=at)
            entry = self._entry(actor, "consent", located.user_id, f"{old.value} to {consent.value}", at)
            located = self._apply(located, record, entry)
            events.append(self._event(EventKind.CONSENT_CHANGED, located.user_id, at, consent))
            if old is Consent.GRANTED:
                events.append(self._event(EventKind.FORGOTTEN, located.user_id, at, consent))
            return read_profile(*located)

    def forget(self, user_id: str, actor: str) -> ForgetResult:
        """Delete everything about a person, in memory and on the disk, down to the bytes. Raises UnknownUserError."""
        checked(Request(actor=actor))
        with self._changing() as events:
            located, at = self._require(user_id), self._now()
            entry = self._entry(actor, "forget", located.user_id, "deleted", at)
            rows = self._delete(located, entry)
            erased = erase_traces(self._disk)
            events.append(self._event(EventKind.FORGOTTEN, located.user_id, at))
            return ForgetResult(rows=rows, traces_erased=erased)

    def drop_stranger(self, user_id: str) -> bool:
        """Drop a person who lives in memory only, without a row in the audit log: nobody asked, they merely left.

        Returns:
            False where the id is unknown or the person's profile is on the disk; then nothing changes.
        """
        with self._changing() as events:
            located, at = self._locate(user_id), self._now()
            if located is None or not located.anonymous:
                return False
            self._forget_in_memory(located.user_id)
            events.append(self._event(EventKind.FORGOTTEN, located.user_id, at))
            return True

    def export(self, user_id: str, actor: str) -> bytes:
        """Everything about a person as UTF-8 JSON (`ProfileExport`). Raises UnknownUserError."""
        checked(Request(actor=actor))
        with self._changing() as events:
            located, at = self._require(user_id), self._now()
            self._append(self._entry(actor, "export", located.user_id, "handed out", at))
            consent = consent_of(located.db, located.user_id)
            events.append(self._event(EventKind.EXPORTED, located.user_id, at, consent))
            return export_json(self.collect(located.user_id, at))

    def merge(self, first: str, second: str, actor: str) -> ProfileRecord:
        """Two ids are one person; the older one remains, the other leads to it. The rules are in `store/merge.py`.

        Raises:
            UnknownUserError: nobody is known by one of the ids.
            StoreError: both ids are the same person already.
        """
        checked(Request(actor=actor))
        with self._changing() as events:
            one, two, at = self._require(first), self._require(second), self._now()
            if one == two:
                raise StoreError(f"{first} and {second} are the same person already")
            kept, gone = older_first(read_profile(*one), read_profile(*two))
            entry = self._entry(actor, "merge", kept.user_id, f"took over {gone.user_id}", at)
            merged = read_profile(*self._unite(kept, gone, entry))
            event = self._event(EventKind.MERGED, gone.user_id, at, merged.consent)
            events.append(msgspec.structs.replace(event, other_user_id=kept.user_id))
            if Consent.GRANTED in (kept.consent, gone.consent) and merged.consent in REFUSALS:
                events.append(self._event(EventKind.FORGOTTEN, kept.user_id, at, merged.consent))
            return merged

    def purge_expired(self, now: float | None = None) -> PurgeReport:
        """Delete what retention says has been kept long enough; call it at start and every hour.

        Args:
            now: the clock's time where None.
        """
        with self._changing() as events:
            at = self._now() if now is None else now
            anonymous = self._purge_memory(at, events)
            with transaction(self._disk):
                if clock_leapt(self._disk, at):
                    append_audit(self._disk, self._entry("system", "purge", "", "put off: the clock leapt", at))
                    return PurgeReport(anonymous=anonymous, deferred=True)
                report, gone, touched = delete_expired(self._disk, self.settings.retention, at)
                for user_id in gone:
                    append_audit(self._disk, self._entry("system", "expire", user_id, "deleted", at))
            self._after_purge(gone, touched, at, events)
            return msgspec.structs.replace(report, anonymous=anonymous)

    def record_request(self, actor: str, action: str, user_id: str, outcome: str) -> None:
        """Note in the audit log what somebody asked for; never put names, contents or biometrics into `outcome`.

        An id that is nobody's is left out of the entry: it may be a name, or anything else.
        """
        checked(Request(actor=actor, evidence=outcome))
        with self._changing():
            located = self._locate(user_id)
            known = "" if located is None else located.user_id
            self._append(self._entry(actor, action, known, outcome, self._now()))

    def compact(self) -> bool:
        """Give free space back to the disk; False when another process or a full disk is in the way."""
        with self._changing():
            return compact(self._disk)

    def _apply(self, located: Located, record: ConsentRecord, entry: AuditRecord) -> Located:
        if record.consent is Consent.GRANTED:
            return self._grant(located, record, entry)
        if record.consent in REFUSALS:
            return self._refuse(located, record, entry)
        with transaction(located.db):
            record_consent(located.db, located.user_id, record)
        self._append(entry)
        return located

    def _grant(self, located: Located, record: ConsentRecord, entry: AuditRecord) -> Located:
        with transaction(self._disk):
            copy_user(located.db, self._disk, located.user_id)
            record_consent(self._disk, located.user_id, record)
            append_audit(self._disk, entry)
        self._forget_in_memory(located.user_id)
        self._gallery.refresh(located.user_id)
        return Located(self._disk, located.user_id, False)

    def _refuse(self, located: Located, record: ConsentRecord, entry: AuditRecord) -> Located:
        self._delete(located, entry)
        erase_traces(self._disk)
        with transaction(self._memory):
            insert_user(self._memory, located.user_id, record.consent, record.at)
            record_consent(self._memory, located.user_id, record)
        return Located(self._memory, located.user_id, True)

    def _delete(self, located: Located, entry: AuditRecord) -> int:
        with transaction(self._disk):
            rows = 0 if located.anonymous else delete_user(self._disk, located.user_id)
            append_audit(self._disk, entry)
        self._gallery.remove(located.user_id)
        return rows if rows else self._forget_in_memory(located.user_id)

    def _unite(self, kept: ProfileRecord, gone: ProfileRecord, entry: AuditRecord) -> Located:
        if stronger(kept.consent, gone.consent) in REFUSALS:
            return self._unite_refused(kept, gone, entry)
        in_memory = [profile.user_id for profile in (kept, gone) if profile.anonymous]
        anonymous = len(in_memory) == 2
        db = self._memory if anonymous else self._disk
        with transaction(db):
            if not anonymous:
                for user_id in in_memory:
                    copy_user(self._memory, self._disk, user_id)
            merge_users(db, kept.user_id, gone.user_id, self.settings.embedding_dtype)
            append_audit(self._disk, entry)
        if not anonymous:
            for user_id in in_memory:
                self._forget_in_memory(user_id)
            self._gallery.remove(gone.user_id)
            self._gallery.refresh(kept.user_id)
        return Located(db, kept.user_id, anonymous)

    def _unite_refused(self, kept: ProfileRecord, gone: ProfileRecord, entry: AuditRecord) -> Located:
        """One of the two said no: nothing of either is kept but the decision and the alias."""
        consent = stronger(kept.consent, gone.consent)
        for profile in (gone, kept):
            self._delete(self._require(profile.user_id), entry)
        erase_traces(self._disk)
        with transaction(self._memory):
            insert_user(self._memory, kept.user_id, consent, entry.at)
            record = ConsentRecord(consent=consent, actor=entry.actor, evidence="merged", at=entry.at)
            record_consent(self._memory, kept.user_id, record)
            add_alias(self._memory, gone.user_id, kept.user_id)
        return Located(self._memory, kept.user_id, True)

    def _purge_memory(self, at: float, events: list[ProfileEvent]) -> int:
        gone = expired_users(self._memory, at - 60.0 * self.settings.retention.anonymous_minutes)
        for user_id in gone:
            self._forget_in_memory(user_id)
            events.append(self._event(EventKind.EXPIRED, user_id, at))
        return len(gone)

    def _after_purge(self, gone: list[str], touched: set[str], at: float, events: list[ProfileEvent]) -> None:
        for user_id in gone:
            self._gallery.remove(user_id)
            events.append(self._event(EventKind.EXPIRED, user_id, at))
        for user_id in sorted(touched):
            self._gallery.refresh(user_id)
            events.append(self._event(EventKind.UPDATED, user_id, at, Consent.GRANTED, "expired"))
        erase_traces(self._disk)

    def _forget_in_memory(self, user_id: str) -> int:
        with transaction(self._memory):
            return delete_user(self._memory, user_id)
