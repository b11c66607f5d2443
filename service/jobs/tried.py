"""What was tried for a job: its attempts and verification lookups, as its timeline tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.jobs.model import Status
from service.jobs.records import JobRecord
from service.jobs.verification_report import VerificationReport
from service.time_formats.timestamps import rfc3339

#: Why a job is `sending` when a verification lookup begins (lua/claim_job.lua).
_LOOKUPS: Final = frozenset({"verification lookup", "history lost: looked for first"})
_INTENT: Final = "intent"
_NOT_FOUND: Final = "not found"

#: A timeline entry as the API shows it.
Entry = Mapping[str, Any]


@dataclass
class _Step:
    """An attempt, or a verification lookup, from its claim to its end."""

    at: str
    by: str
    is_verification: bool = False
    intent_at: str | None = None
    ended_at: str | None = None
    status: str = ""
    reason: str | None = None

    def public(self) -> dict[str, Any]:
        ended = self.ended_at is not None
        return {
            "at": self.at,
            "by": self.by,
            "ended_at": self.ended_at,
            "outcome": self._outcome() if ended else None,
            "reason": self.reason,
        }

    def _outcome(self) -> str:
        if not self.is_verification:
            return "unconfirmed" if self.status == Status.SENDING else self.status
        if self.status == Status.SUCCEEDED:
            return "found"
        return "not_found" if (self.reason or "").startswith(_NOT_FOUND) else "failed"


def what_was_tried(job: JobRecord, timeline: Iterable[Entry]) -> dict[str, Any]:
    """What was tried for a job, as the API shows it.

    Parameters:
      job: The job; it has the report of its last verification.
      timeline: The entries that are kept, oldest first.
    """
    steps = _steps(timeline)
    reported_ms, report = VerificationReport.decode(job.looked, job.looked_in) or (0, None)
    reports = {rfc3339(reported_ms): report.public()} if report else {}
    return {
        "write_token": job.context or None,
        "intent_at": rfc3339(job.intent_ms),
        "attempts": [
            {**step.public(), "intent_at": step.intent_at}
            for step in steps
            if not step.is_verification
        ],
        "verifications": [
            {**step.public(), "read": reports.get(step.ended_at)}
            for step in steps
            if step.is_verification
        ],
    }


def _steps(timeline: Iterable[Entry]) -> list[_Step]:
    steps: list[_Step] = []
    current: _Step | None = None
    for entry in timeline:
        is_lookup = entry["status"] == Status.SENDING and entry["why"] in _LOOKUPS
        if entry["status"] == Status.RUNNING or (is_lookup and current is None):
            current = _Step(entry["at"], entry["by"])
            steps.append(current)
        if is_lookup and current:
            # A job that is looked for before anything else was claimed as `running`.
            current.is_verification = True
        elif current and entry["status"] != Status.RUNNING:
            current = _continued(current, entry)
    return steps


def _continued(step: _Step, entry: Entry) -> _Step | None:
    """Take the entry that follows in a step; None if that was its end."""
    if entry["status"] == Status.SENDING and entry["why"] == _INTENT:
        step.intent_at = entry["at"]
        return step
    step.ended_at, step.status, step.reason = entry["at"], entry["status"], entry["why"]
    return None
