"""The problems that a consistency check can find in the ledger. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Outcome = Literal["mendable", "mended", "lost"]


@dataclass(frozen=True)
class Problem:
    """One kind of inconsistency.

    Parameters:
      meaning: What is wrong and what follows from it; `{where}` is where it was found.
      repair: What a repair does; empty if it can do nothing.
      advice: What a person can do if a repair can do nothing.
    """

    meaning: str
    repair: str = ""
    advice: str = ""


#: By the name that check_consistency.lua gives it.
PROBLEMS: Final[Mapping[str, Problem]] = {
    "broken record": Problem(
        "field {where} cannot be read, so the record cannot be used",
        advice="restore its key from a backup, or delete it",
    ),
    "unlisted": Problem("missing from {where}, so lists do not show it", "added to it"),
    "wrong index": Problem("listed in {where}, which does not match its record", "removed from it"),
    "no record": Problem("listed in {where} without a record", "removed from it"),
    "unreachable": Problem("{where}, and nothing would ever wake it", "its wake-up was scheduled"),
    "untracked lease": Problem(
        "its lease is missing from {where} or wrong there, so a dead worker would go unnoticed",
        "added to it",
    ),
    "untracked expiry": Problem(
        "missing from {where} or wrong there, so it would not expire at expires_at", "added to it"
    ),
    "untracked retention": Problem(
        "ended and missing from {where}, so it would never be pruned", "added to it"
    ),
    "no turn": Problem(
        "running without {where}, so another job may run at the same time",
        "it was given the turn",
        "two jobs are running at once: check again when one of them has ended",
    ),
    "no text": Problem(
        "cannot be sent: {where} is missing", advice="cancel it and create it again"
    ),
    "no photo": Problem(
        "cannot be sent: {where} is missing", advice="cancel it and create it again"
    ),
    "expiring data": Problem("{where} would expire before the job ends", "its expiry was removed"),
    "missing rows": Problem(
        "rows are missing from {where}, so the export cannot continue",
        advice="cancel it and create it again",
    ),
    "unexpiring data": Problem("ended, and {where} would never expire", "it was given an expiry"),
    "no callback": Problem("ended, and its delivery {where} is missing", "it was created"),
    "no job": Problem(
        "its job {where} has no record", advice="none is needed: it is delivered all the same"
    ),
    "stale turn": Problem("listed in {where} without a turn", "the turn goes to the next job"),
    "idle turn": Problem("{where} has its turn and has ended", "the turn goes to the next job"),
    "endless turn": Problem(
        "its turn is missing from {where}, so it would never expire", "it expires within a lease"
    ),
    "stalled queue": Problem("{where} has jobs and none has the turn", "the first job gets it"),
    "lost job": Problem("its job {where} has no record", advice="replay the event to create it"),
}


@dataclass(frozen=True)
class Defect:
    """An inconsistency in the ledger.

    Parameters:
      id: The job, delivery, account or event.
      problem: A key of PROBLEMS.
      where: The index, key or field.
      outcome: `mendable` (a repair would repair it), `mended`, or `lost` (no repair can).
    """

    id: str
    problem: str
    where: str
    outcome: Outcome

    def __str__(self) -> str:
        problem = PROBLEMS[self.problem]
        outcome = {
            "mendable": "--repair repairs it",
            "mended": f"repaired: {problem.repair}",
            "lost": f"cannot be repaired: {problem.advice}",
        }[self.outcome]
        return f"{self.id}: {self.problem}: {problem.meaning.format(where=self.where)} ({outcome})"
