"""What live listeners are told, and a job's history in the same words. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from service.jobs.records import JobRecord, rfc3339

#: `change`: a timeline's entry; `end`: one that ends the job; `progress`: how far a job has come;
#: `gap`: what came between cannot be told any more; `ready`: where one who begins now begins.
EventName = Literal["change", "end", "progress", "gap", "ready"]


@dataclass(frozen=True)
class LiveUpdate:
    """Something to tell a listener.

    Parameters:
      event: What it is.
      id: Where to go on after it; None where that does not change.
      data: JSON, in one line.
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
        """As the text of a WebSocket message: the same in one JSON object."""
        return f'{{"event":"{self.event}","id":{json.dumps(self.id)},"data":{self.data}}}'


def gap(after: str, job_id: str | None = None) -> LiveUpdate:
    """What to say where what came after an entry cannot be told any more.

    Parameters:
      after: The last entry that was told.
      job_id: Whose; None for the feed of all.
    """
    whose = {"id": job_id} if job_id is not None else {}
    return LiveUpdate("gap", None, dumps({**whose, "after": after}))


@dataclass(frozen=True)
class JobHistory:
    """A job and its timeline at one moment.

    Parameters:
      record: The job.
      lines: The timeline's entries that are kept, oldest first, as the API shows them.
    """

    record: JobRecord
    lines: Sequence[Mapping[str, Any]]

    @property
    def first(self) -> int:
        """The number of the oldest entry that is kept."""
        return self.record.trimmed + 1

    @property
    def last(self) -> int:
        """The number of the newest entry."""
        return self.record.trimmed + len(self.lines)

    def after(self, number: int) -> list[LiveUpdate]:
        """What came after an entry.

        Parameters:
          number: The entry's; 0 for everything.
        """
        numbered = enumerate(self.lines, self.first)
        return [self._update(each, line) for each, line in numbered if each > number]

    def _update(self, number: int, line: Mapping[str, Any]) -> LiveUpdate:
        # One that was opened again after it had ended has not ended with that entry.
        ended = number == self.last and self.record.ended
        outcome = {"result": self.record.result, "error": self.record.error} if ended else {}
        data = dumps({"id": self.record.id, **line, **outcome})
        return LiveUpdate("end" if ended else "change", str(number), data)


def timeline_entry(at_ms: int, status: str, by: str, why: str) -> dict[str, Any]:
    """An entry of a timeline as the API shows it.

    Parameters:
      at_ms: When, unix ms.
      status: What the job became, or stayed.
      by: Who did it.
      why: A word or two; may be empty.
    """
    return {"at": rfc3339(at_ms), "status": status, "by": by, "why": why or None}


def dumps(value: Mapping[str, Any]) -> str:
    """JSON in one line, as a message carries it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
