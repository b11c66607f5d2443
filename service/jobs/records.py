"""Jobs and events as they are read back, and as the API shows them. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.jobs.model import FINAL, FOLLOWER_KINDS, Status
from service.time_formats.timestamps import rfc3339


@dataclass(frozen=True)
class QueuePosition:
    """Where a job stands in its account's line.

    Parameters:
      reason: What it waits for.
      until_ms: Until when, as far as can be told; unix ms.
      position: How many stand before it in its lane.
      eta_ms: When a walk may have ended, as far as can be told; unix ms, 0 for unknown.
    """

    reason: str
    until_ms: int
    position: int
    eta_ms: int = 0


@dataclass(frozen=True)
class JobRecord:
    """One job as the ledger holds it. Times are unix ms; 0 where they have not happened."""

    id: str
    seq: int
    kind: str
    account: str
    status: Status
    priority: int
    to: str
    post: str
    callback: str
    created_ms: int
    run_at_ms: int
    expires_ms: int
    started_ms: int
    finished_ms: int
    attempts: int
    run: int
    fence: int
    wait_reason: str
    wait_until_ms: int
    cancel_asked: bool
    intent_ms: int
    not_found_count: int
    verification_failures: int
    failed_attempts: int
    pk: str
    context: str
    thread: str
    sub_queue: str
    dry_run: bool
    cursor: str
    pages: int
    users: int
    expected: int
    max_rows: int
    eta_ms: int
    photo: dict[str, Any] | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    source: dict[str, Any]
    metadata: Any
    trimmed: int

    @classmethod
    def of(cls, job_id: str, fields: Mapping[str, str]) -> JobRecord:
        """Read a job's hash.

        Parameters:
          job_id: Its id.
          fields: As `hash_encoding.fields_of` gives them; those that a newer release added are
            ignored.
        """
        return cls(
            id=job_id,
            seq=int(fields["seq"]),
            kind=fields["kind"],
            account=fields["account"],
            status=Status(fields["status"]),
            priority=int(fields["prio"]),
            to=fields["to"],
            post=fields["post"],
            callback=fields["callback"],
            created_ms=int(fields["created"]),
            run_at_ms=int(fields["run_at"]),
            expires_ms=int(fields["expires"]),
            started_ms=int(fields["started"]),
            finished_ms=int(fields["finished"]),
            attempts=int(fields["attempts"]),
            run=int(fields["run"]),
            fence=int(fields["fence"]),
            wait_reason=fields["wait_reason"],
            wait_until_ms=int(fields["wait_until"]),
            cancel_asked=bool(fields["cancel"]),
            intent_ms=int(fields["intent_at"]),
            not_found_count=int(fields["misses"]),
            verification_failures=int(fields["looks"]),
            failed_attempts=int(fields["strikes"]),
            pk=fields["pk"],
            context=fields["context"],
            thread=fields["thread"],
            sub_queue=fields["lane"],
            dry_run=bool(fields["dry"]),
            cursor=fields.get("cursor", ""),
            pages=int(fields.get("pages", "0")),
            users=int(fields.get("users", "0")),
            expected=int(fields.get("expected", "0")),
            max_rows=int(fields.get("most", "0")),
            eta_ms=int(float(fields.get("eta", "0"))),
            photo=_json_or_none(fields.get("photo", "")),
            result=_json_or_none(fields["result"]),
            error=_json_or_none(fields["error"]),
            source=json.loads(fields["source"]),
            metadata=_json_or_none(fields["metadata"]),
            trimmed=int(fields.get("trimmed", "0")),
        )

    @property
    def ended(self) -> bool:
        """Whether the job is in a final state."""
        return self.status in FINAL

    def public(self, place: QueuePosition | None = None) -> dict[str, Any]:
        """The job as the API shows it.

        Parameters:
          place: Where it stands in the account's line; None when it stands in none.
        """
        return {
            "id": self.id,
            "kind": self.kind,
            "account": self.account,
            "to": self.to or None,
            "post": self.post or None,
            "status": str(self.status),
            "created_at": rfc3339(self.created_ms),
            "run_at": rfc3339(self.run_at_ms),
            "expires_at": rfc3339(self.expires_ms),
            "started_at": rfc3339(self.started_ms),
            "finished_at": rfc3339(self.finished_ms),
            "attempts": self.attempts,
            "run": self.run,
            "priority": self.priority,
            "cancel_requested": self.cancel_asked,
            "dry_run": self.dry_run,
            "photo": self.photo,
            "wait": self._wait(place),
            **({"progress": self._progress(place)} if self.kind in FOLLOWER_KINDS else {}),
            "result": self.result,
            "error": self.error,
            "callback": self.callback or None,
            "source": self.source,
            "metadata": self.metadata,
        }

    def _progress(self, place: QueuePosition | None) -> dict[str, Any]:
        return {
            "pages": self.pages,
            "users": self.users,
            "expected": self.expected if self.pk else None,
            "limit": self.max_rows or None,
            "eta": rfc3339(self._eta_ms(place)),
        }

    def _eta_ms(self, place: QueuePosition | None) -> int:
        if self.ended or self.status is Status.HELD:
            return 0
        if place is not None and place.eta_ms:
            return place.eta_ms
        return max(self.eta_ms, self.wait_until_ms) if self.eta_ms else 0

    def _wait(self, place: QueuePosition | None) -> dict[str, Any] | None:
        if self.status not in (Status.WAITING, Status.HELD):
            return None
        if place is None:
            until = rfc3339(self.wait_until_ms)
            return {"reason": self.wait_reason, "until": until, "position": None}
        until = rfc3339(place.until_ms)
        return {"reason": place.reason, "until": until, "position": place.position}


@dataclass(frozen=True)
class EventRecord:
    """One event as the ledger holds it."""

    id: str
    source: str
    seq: int
    type: str
    status: str
    received_ms: int
    livemode: bool | None
    fingerprint: str
    jobs: tuple[str, ...]
    notes: list[dict[str, Any]]

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> EventRecord:
        """Read an event's hash."""
        return cls(
            id=fields["id"],
            source=fields["source"],
            seq=int(fields["seq"]),
            type=fields["type"],
            status=fields["status"],
            received_ms=int(fields["received"]),
            livemode=json.loads(fields["livemode"]),
            fingerprint=fields["fingerprint"],
            jobs=tuple(json.loads(fields["jobs"])),
            notes=json.loads(fields["notes"]),
        )

    def public(self) -> dict[str, Any]:
        """The event as the API shows it, its body apart."""
        return {
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "status": self.status,
            "received_at": rfc3339(self.received_ms),
            "livemode": self.livemode,
            "jobs": list(self.jobs),
            "rules": self.notes,
        }


def _json_or_none(text: str) -> Any:
    return json.loads(text) if text else None
