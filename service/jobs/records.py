"""Stored jobs and events, and how the API shows them. Pure data."""

# ruff: noqa: RUF009 - `_stored` declares a field, as `dataclasses.field` does

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Final

from service.encryption import places
from service.jobs.model import FINAL, FOLLOWER_KINDS, Status
from service.jobs.stored_names import ERROR_CODES, public_error, public_name
from service.time_formats.timestamps import rfc3339


@dataclass(frozen=True)
class QueuePosition:
    """A job's position in its account queue.

    Parameters:
      reason: What it waits for.
      until_ms: Until when, an estimate, Unix milliseconds.
      position: How many jobs of its sub-queue are before it.
      eta_ms: When a follower export may end, an estimate, Unix milliseconds; 0 if unknown.
    """

    reason: str
    until_ms: int
    position: int
    eta_ms: int = 0


def _stored(name: str, convert: Callable[[str], Any] = str, default: str | None = None) -> Any:
    """Declare a field of a job's hash.

    Parameters:
      name: Its stored name.
      convert: Parses its text.
      default: Its text if it is not stored; None for a field that always is.
    """
    return field(metadata={"name": name, "convert": convert, "default": default})


def _json_or_none(text: str) -> Any:
    return json.loads(text) if text else None


def _error(text: str) -> dict[str, Any] | None:
    return public_error(_json_or_none(text))


@dataclass(frozen=True)
class JobRecord:
    """A job as stored, with the names of its hash's fields (see lua/lib/records.lua).

    Times are Unix milliseconds, 0 for what has not happened.
    """

    id: str
    seq: int = _stored("seq", int)
    kind: str = _stored("kind")
    account: str = _stored("account")
    status: Status = _stored("status", Status)
    priority: int = _stored("prio", int)
    to: str = _stored("to")
    post: str = _stored("post")
    callback: str = _stored("callback")
    created_ms: int = _stored("created", int)
    run_at_ms: int = _stored("run_at", int)
    expires_ms: int = _stored("expires", int)
    started_ms: int = _stored("started", int)
    finished_ms: int = _stored("finished", int)
    attempts: int = _stored("attempts", int)
    run: int = _stored("run", int)
    fence: int = _stored("fence", int)
    wait_reason: str = _stored("wait_reason", partial(public_name, ERROR_CODES))
    wait_until_ms: int = _stored("wait_until", int)
    cancel_requested: bool = _stored("cancel", bool)
    intent_ms: int = _stored("intent_at", int)
    doubt: str = _stored("doubt")
    lost_until_ms: int = _stored("lost_until", int, "0")
    not_found_count: int = _stored("misses", int)
    verification_failures: int = _stored("looks", int)
    failed_attempts: int = _stored("strikes", int)
    refusals: int = _stored("refusals", int, "0")
    resends: int = _stored("resends", int, "0")
    pk: str = _stored("pk")
    context: str = _stored("context")
    thread: str = _stored("thread")
    sub_queue: str = _stored("lane")
    who: str = _stored("who")
    looked: str = _stored("looked")
    looked_in: str = _stored("looked_in")
    erased_ms: int = _stored("erased", int, "0")
    dry_run: bool = _stored("dry", bool)
    cursor: str = _stored("cursor", default="")
    pages: int = _stored("pages", int, "0")
    users: int = _stored("users", int, "0")
    expected: int = _stored("expected", int, "0")
    max_rows: int = _stored("most", int, "0")
    eta_ms: int = _stored("eta", lambda text: int(float(text)), "0")
    photo: dict[str, Any] | None = _stored("photo", _json_or_none, "")
    report: dict[str, Any] | None = _stored("report", _json_or_none, "")
    result: dict[str, Any] | None = _stored("result", _json_or_none)
    error: dict[str, Any] | None = _stored("error", _error)
    source: dict[str, Any] = _stored("source", json.loads)
    metadata: Any = _stored("metadata", _json_or_none)
    trimmed: int = _stored("trimmed", int, "0")
    version: int = _stored("v", int, "0")

    @classmethod
    def of(cls, job_id: str, fields: Mapping[str, str]) -> JobRecord:
        """Decode the result of `hash_encoding.fields_of`; fields of a newer release are ignored."""
        return cls(
            job_id,
            *(
                convert(fields[name] if default is None else fields.get(name, default))
                for name, convert, default in _JOB_FIELDS
            ),
        )

    @property
    def ended(self) -> bool:
        """Whether the job has a final status."""
        return self.status in FINAL

    @property
    def rejected_at_creation(self) -> bool:
        """Whether a rule could not fill it in, and it never got further: a replay may fill it in.

        The script that does so decides it again (lua/lib/event_jobs.lua).
        """
        is_empty = self.kind in ("dm", "comment") and not self.to and not self.post
        untouched = not (self.fence or self.intent_ms or self.erased_ms)
        return self.status is Status.FAILED and is_empty and untouched

    def public(self, position: QueuePosition | None = None) -> dict[str, Any]:
        """The job as the API shows it; `position` is None if it is not in the account queue."""
        return {
            "id": self.id,
            "kind": self.kind,
            "account": None if self.kind == "report" else self.account,
            "to": self.to or None,
            "post": self.post or None,
            "status": str(self.status),
            "created_at": rfc3339(self.created_ms),
            "run_at": rfc3339(self.run_at_ms),
            "expires_at": rfc3339(self.expires_ms),
            "started_at": rfc3339(self.started_ms),
            "finished_at": rfc3339(self.finished_ms),
            "erased_at": rfc3339(self.erased_ms),
            "attempts": self.attempts,
            "run": self.run,
            "priority": self.priority,
            "cancel_requested": self.cancel_requested,
            "dry_run": self.dry_run,
            "photo": self.photo,
            "wait": self._wait(position),
            **({"progress": self._progress(position)} if self.kind in FOLLOWER_KINDS else {}),
            **({"report": self.report} if self.kind == "report" else {}),
            "result": self.result,
            "error": self.error,
            "callback": self.callback or None,
            "source": self.source,
            "metadata": self.metadata,
        }

    def _progress(self, position: QueuePosition | None) -> dict[str, Any]:
        return {
            "pages": self.pages,
            "users": self.users,
            "expected": self.expected if self.pk else None,
            "limit": self.max_rows or None,
            "eta": rfc3339(self._eta_ms(position)),
        }

    def _eta_ms(self, position: QueuePosition | None) -> int:
        if self.ended or self.status is Status.HELD:
            return 0
        if position is not None and position.eta_ms:
            return position.eta_ms
        return max(self.eta_ms, self.wait_until_ms) if self.eta_ms else 0

    def _wait(self, position: QueuePosition | None) -> dict[str, Any] | None:
        if self.status not in (Status.WAITING, Status.HELD):
            return None
        if position is None:
            until = rfc3339(self.wait_until_ms)
            return {"reason": self.wait_reason, "until": until, "position": None}
        until = rfc3339(position.until_ms)
        return {"reason": position.reason, "until": until, "position": position.position}


#: Stored name, converter and default of each field of a job's hash, in the order of JobRecord.
_JOB_FIELDS: Final = tuple(
    (entry.metadata["name"], entry.metadata["convert"], entry.metadata["default"])
    for entry in fields(JobRecord)[1:]
)


def body_place(fields: Mapping[str, str]) -> bytes:
    """What the body of an event is encrypted for, by the event's hash."""
    came_with = fields.get("encrypted_as", fields["id"])
    return places.event_body(fields["source"], came_with, fields["fingerprint"])


@dataclass(frozen=True)
class EventRecord:
    """An event as stored."""

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
    version: int

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> EventRecord:
        """Decode an event's hash."""
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
            version=int(fields.get("v", "0")),
        )

    def public(self) -> dict[str, Any]:
        """The event as the API shows it, without its body."""
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
