"""Results of the ledger's steps. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

RetryReply = Literal["ok", "refused", "empty", "erased", "gone", "photo_gone", "newer", "none"]


class Acceptance(NamedTuple):
    """The result of accepting an event.

    Parameters:
      outcome: `accepted`, `duplicate` (known), or `conflict` (its id is known with other data).
      event_id: The id under which it is stored.
      jobs: The ids of its jobs.
    """

    outcome: Literal["accepted", "duplicate", "conflict"]
    event_id: str
    jobs: list[str]


@dataclass(frozen=True)
class Creation:
    """The result of creating a job through the API.

    Parameters:
      outcome: `created`, `repeated` (same idempotency key and request), or `conflict` (same key,
        different request).
      job_id: The job, or the earlier one with this key.
    """

    outcome: Literal["created", "repeated", "conflict"]
    job_id: str


@dataclass(frozen=True)
class Preview:
    """What would happen to a job now.

    Parameters:
      decision: `send`, `wait` or `refuse`.
      reason: The reason; None for `send`.
      earliest_ms: When it may be sent, or would no longer be refused, Unix milliseconds; 0 if
        unknown.
      person: Whether only a person can change the decision.
    """

    decision: str
    reason: str | None
    earliest_ms: int
    person: bool
