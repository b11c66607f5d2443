"""Operations as stored, and how the API shows them. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from service.time_formats.timestamps import rfc3339

Action = Literal["cancel", "retry", "replay"]
OperationStatus = Literal["planned", "running", "completed", "canceled"]

#: Why an item was left as it is, and what to do about it, by outcome.
PROBLEMS: Final[Mapping[str, str]] = {
    "not_cancelable": "Its write may have happened, or it has ended.",
    "not_retryable": "Only failed and uncertain jobs can be retried.",
    "became_uncertain": "It was not uncertain when this was planned: look at Instagram, then settle"
    " it or ask for it by name.",
    "rejected_at_creation": "It has no recipient: fix its rule and replay its event.",
    "erased": "What it was to send was erased: create a new job.",
    "text_gone": "Its text, or the rows of its export, are no longer kept: create a new job.",
    "photo_gone": "Its photo was deleted when it ended: create a new job with it.",
    "unknown_job": "It is no longer kept.",
    "newer_release": "A newer release has written it: ask again when the deploy is over.",
    "internal_error": "Its record is damaged: run `heliograph doctor`.",
    "rejected": "A rule cannot fill in its job: fix the rule and replay the event again.",
    "when_error": "The `when` of a rule cannot be evaluated: see the event's `rules`.",
    "not_replayable": "It was not accepted, so no rules run for it.",
    "source_gone": "Its source is no longer configured, so no rule applies to it.",
    "body_gone": "Its body is no longer kept.",
    "body_unreadable": "Its body cannot be decrypted: restore the SECRET_KEY it was stored with.",
    "unknown_event": "It is no longer kept.",
}

#: Why no worker goes on with a replay (`blocked`).
OTHER_RULES: Final = "other_rules"


@dataclass(frozen=True)
class ItemResult:
    """What became of one item of an operation.

    Parameters:
      item: A job id, or `source:id` of an event.
      outcome: A word of PROBLEMS, or of what was done.
      jobs: The jobs that a replay made.
    """

    item: str
    outcome: str
    jobs: tuple[str, ...] = ()

    @classmethod
    def of(cls, item: bytes, line: bytes) -> ItemResult:
        """Decode an item and its stored result (lua/lib/operations.lua)."""
        outcome, *jobs = line.decode().split(" ")
        return cls(item.decode(), outcome, tuple(jobs))

    def public(self) -> dict[str, Any]:
        """The result as the API shows it."""
        source, colon, event_id = self.item.partition(":")
        return {
            "job_id": None if colon else self.item,
            "source": source if colon else None,
            "event_id": event_id if colon else None,
            "outcome": self.outcome,
            "message": PROBLEMS.get(self.outcome),
            "jobs": list(self.jobs),
        }


@dataclass(frozen=True)
class Operation:
    """An operation as stored (see lua/lib/operations.lua).

    Times are Unix milliseconds, 0 for what has not happened.
    """

    id: str
    action: Action
    status: OperationStatus
    filter: dict[str, Any]
    rule: str
    rules: str
    reason: str
    by: str
    address: str
    started_ms: int
    finished_ms: int
    total: int
    done: int
    counts: dict[str, int]
    problems: tuple[int, ...]
    blocked: str
    version: int

    @classmethod
    def of(cls, operation_id: str, fields: Mapping[str, str], done: int) -> Operation:
        """Decode an operation's hash.

        Parameters:
          operation_id: Its id.
          fields: The hash.
          done: How many of its items are done.
        """
        counts = {
            name.removeprefix("n:"): int(count)
            for name, count in sorted(fields.items())
            if name.startswith("n:")
        }
        return cls(
            id=operation_id,
            action=fields["action"],  # type: ignore[arg-type]
            status=fields["status"],  # type: ignore[arg-type]
            filter=json.loads(fields["filter"]),
            rule=fields.get("rule", ""),
            rules=fields.get("rules", ""),
            reason=fields.get("reason", ""),
            by=fields.get("by", ""),
            address=fields.get("address", ""),
            started_ms=int(fields.get("started", "0")),
            finished_ms=int(fields.get("finished", "0")),
            total=int(fields["total"]),
            done=done,
            counts=counts,
            problems=tuple(map(int, fields.get("problems", "").split())),
            blocked=fields.get("blocked", ""),
            version=int(fields.get("v", "0")),
        )

    def public(self, problems: Sequence[ItemResult] = ()) -> dict[str, Any]:
        """The operation as the API shows it.

        Parameters:
          problems: The first items that were left as they are.
        """
        return {
            "id": self.id,
            "action": self.action,
            "status": self.status,
            "filter": self.filter,
            "rule": self.rule or None,
            "reason": self.reason or None,
            "by": self.by,
            "started_at": rfc3339(self.started_ms),
            "finished_at": rfc3339(self.finished_ms),
            "total": self.total,
            "done": self.done,
            "results": self.counts,
            "problems": [result.public() for result in problems],
            "blocked": (self.status == "running" and self.blocked) or None,
        }
