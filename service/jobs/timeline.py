"""Timeline entries, and the live updates made of them. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from service.jobs.records import JobRecord
from service.jobs.stored_names import TIMELINE_BY, TIMELINE_WHY, public_name
from service.time_formats.timestamps import rfc3339

#: `change`: a timeline entry; `end`: the entry that ends the job; `progress`: the progress of a
#: long job; `gap`: entries in between are no longer stored; `ready`: where a new client starts.
EventName = Literal["change", "end", "progress", "gap", "ready"]


@dataclass(frozen=True)
class LiveUpdate:
    """One update for a subscriber.

    Parameters:
      event: Its type.
      id: Where a client that received it resumes; None when that does not change.
      data: One line of JSON.
    """

    event: EventName
    id: str | None
    data: str

    @cached_property
    def as_event(self) -> bytes:
        """As a server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        id_line = f"id: {self.id}\n" if self.id is not None else ""
        return f"event: {self.event}\n{id_line}data: {self.data}\n\n".encode()

    @cached_property
    def as_frame(self) -> str:
        """As the text of a WebSocket message: the same fields in one JSON object."""
        return f'{{"event":"{self.event}","id":{json.dumps(self.id)},"data":{self.data}}}'


def gap(after: str, job_id: str | None = None) -> LiveUpdate:
    """The update that says entries are missing after the last one that was sent.

    `after` is its number, or its position in the stream of all jobs (`job_id` None).
    """
    job = {"id": job_id} if job_id is not None else {}
    return LiveUpdate("gap", None, dumps({**job, "after": after}))


@dataclass(frozen=True)
class JobHistory:
    """A job and its timeline at one moment: stored entries as the API shows them, oldest first."""

    record: JobRecord
    lines: Sequence[Mapping[str, Any]]

    @property
    def first(self) -> int:
        """The number of the oldest stored entry."""
        return self.record.trimmed + 1

    @property
    def last(self) -> int:
        """The number of the newest entry."""
        return self.record.trimmed + len(self.lines)

    def after(self, number: int) -> list[LiveUpdate]:
        """The updates for the entries after a number; 0 for all of them."""
        numbered = enumerate(self.lines, self.first)
        return [self._update(at, line) for at, line in numbered if at > number]

    def _update(self, number: int, line: Mapping[str, Any]) -> LiveUpdate:
        # The last entry of a finished job, unless the job was retried since, is its end.
        ended = number == self.last and self.record.ended
        outcome = {"result": self.record.result, "error": self.record.error} if ended else {}
        data = dumps({"id": self.record.id, **line, **outcome})
        return LiveUpdate("end" if ended else "change", str(number), data)


def timeline_entry(at_ms: int, status: str, by: str, why: str) -> dict[str, Any]:
    """A timeline entry as the API shows it.

    Parameters:
      at_ms: Unix time, ms.
      status: The job's status after it.
      by: Who made the change.
      why: A word or two; may be empty.
    """
    by, why = public_name(TIMELINE_BY, by), public_name(TIMELINE_WHY, why)
    return {"at": rfc3339(at_ms), "status": status, "by": by, "why": why or None}


def parse_timeline_entry(line: bytes) -> dict[str, Any]:
    """A stored timeline entry as the API shows it."""
    # Older releases wrote JSON.
    parts = json.loads(line) if line.startswith(b"[") else line.decode().split("\t", 3)
    at, status, by, why = parts
    return timeline_entry(int(at), status, by, why)


def dumps(value: Mapping[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
