"""What becomes of what the ledger is asked for. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

RetryReply = Literal["ok", "refused", "empty", "gone", "photo_gone", "none"]


class Acceptance(NamedTuple):
    """What became of an event at the door.

    Parameters:
      outcome: `accepted`, `duplicate` (known), `conflict` (its id is known with other data).
      event_id: The id it is kept under.
      jobs: The ids of its jobs.
    """

    outcome: Literal["accepted", "duplicate", "conflict"]
    event_id: str
    jobs: list[str]


@dataclass(frozen=True)
class Creation:
    """What became of a caller's request for a job.

    Parameters:
      outcome: `created`, `repeated` (same key, same request), `conflict` (same key, another one).
      job_id: The job that the key names.
    """

    outcome: Literal["created", "repeated", "conflict"]
    job_id: str


@dataclass(frozen=True)
class Preview:
    """What would become of a job now.

    Parameters:
      decision: `send`, `wait` or `refuse`.
      reason: What decided it; None for `send`.
      earliest_ms: When it may be sent, or (refused) when it would no longer be; 0 for unknown.
      person: Whether only a person can change it.
    """

    decision: str
    reason: str | None
    earliest_ms: int
    person: bool


@dataclass(frozen=True)
class Finding:
    """Something in the ledger that is not as it must be.

    Parameters:
      id: The job or delivery.
      problem: A key of consistency_problems.PROBLEMS: `unreachable` and `never lapses` (nothing
        would ever wake it), `no record` and `wrong index` (an index tells what is not so).
    """

    id: str
    problem: str
