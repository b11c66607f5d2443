"""Inconsistencies of the ledger: what each means, and how it is repaired. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Outcome = Literal["repairable", "repaired", "lost"]


@dataclass(frozen=True)
class Problem:
    """One kind of inconsistency.

    Parameters:
      meaning: What it is and what follows from it; `{where}` is where it was found.
      repair: What a repair has done; empty if none can.
      advice: What a person can do if a repair cannot.
    """

    meaning: str
    repair: str = ""
    advice: str = ""


_CREATE_AGAIN: Final = "cancel it and create a new one"

#: By the name that `check_consistency.lua` reports.
PROBLEMS: Final[Mapping[str, Problem]] = {
    "broken record": Problem(
        "its field {where} is unreadable, so the record is unusable",
        advice="restore its key from a backup, or delete it",
    ),
    "not indexed": Problem("missing or misplaced in {where}, so lists do not show it", "added"),
    "wrong index": Problem("in {where}, which does not match its record", "removed"),
    "no record": Problem("in {where}, but it has no record", "removed"),
    "orphaned": Problem("{where}, and nothing would continue it", "rescheduled"),
    "lease never expires": Problem(
        "its lease is missing or wrong in {where}, so a dead worker would go unnoticed", "added"
    ),
    "expires_at ignored": Problem("missing or wrong in {where}, so it would not expire", "added"),
    "never pruned": Problem("ended, but missing in {where}, so it is kept forever", "added"),
    "missing turn": Problem(
        "running without {where}, so another job of the account may run at the same time",
        "the turn was given to it",
        "two jobs are running: check again when one has ended",
    ),
    "no text": Problem("{where} is missing, so there is nothing to send", advice=_CREATE_AGAIN),
    "no photo": Problem("{where} is missing, so there is no photo to send", advice=_CREATE_AGAIN),
    "early expiry": Problem("{where} would expire before the job ends", "the expiry was removed"),
    "missing rows": Problem(
        "rows are missing from {where}, so the export cannot continue", advice=_CREATE_AGAIN
    ),
    "never deleted": Problem("ended, but {where} is kept forever", "its expiry was set"),
    "no callback": Problem("ended, but its callback {where} is missing", "created"),
    "no job": Problem(
        "a callback for {where}, which has no record", advice="it is delivered nevertheless"
    ),
    "turn without a job": Problem("in {where}, but no job has the turn", "granted to the next job"),
    "stale turn": Problem(
        "{where} has the turn, but has ended or is gone", "granted to the next job"
    ),
    "turn never expires": Problem(
        "missing in {where}, so its turn would never pass on", "it expires within a lease"
    ),
    "stuck queue": Problem("jobs wait in {where}, but none has the turn", "granted to the first"),
    "lost job": Problem(
        "its job {where} has no record", advice="replay the event to create the job again"
    ),
}


@dataclass(frozen=True)
class Defect:
    """One inconsistency in the ledger.

    Parameters:
      id: The job, delivery, account or event.
      problem: A key of PROBLEMS.
      where: The index, key or field.
      outcome: `repairable` (by a repair), `repaired`, or `lost` (no repair can).
    """

    id: str
    problem: str
    where: str
    outcome: Outcome

    def __str__(self) -> str:
        problem = PROBLEMS[self.problem]
        outcome = {
            "repairable": "--repair fixes it",
            "repaired": f"repaired: {problem.repair}",
            "lost": f"cannot be repaired: {problem.advice}",
        }[self.outcome]
        return f"{self.id}: {self.problem}: {problem.meaning.format(where=self.where)} ({outcome})"
