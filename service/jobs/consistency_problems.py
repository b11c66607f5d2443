"""What can be wrong in the ledger, what each means, and what is done about it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Outcome = Literal["mendable", "mended", "lost"]


@dataclass(frozen=True)
class Problem:
    """One way in which the ledger can be broken.

    Parameters:
      means: What it is and what comes of it; `{where}` is where it was found.
      cure: What a repair does; empty where none can.
      advice: What a person can do where a repair can do nothing.
    """

    means: str
    cure: str = ""
    advice: str = ""


#: By the word that `check_consistency.lua` has for it.
PROBLEMS: Final[Mapping[str, Problem]] = {
    "broken record": Problem(
        "its field {where} cannot be read, so nothing can be done with it",
        advice="restore its key from a backup, or delete it",
    ),
    "unlisted": Problem("not in its place in {where}, so lists do not show it", "entered there"),
    "wrong index": Problem("in {where}, which its record does not say", "taken out"),
    "no record": Problem("in {where} and has no record", "taken out"),
    "unreachable": Problem("{where}, and nothing would ever wake it", "its alarm is set"),
    "never lapses": Problem(
        "claimed and not rightly in {where}, so that a worker's death is not noticed", "entered"
    ),
    "never expires": Problem("not rightly in {where}, so its expires_at is not kept", "entered"),
    "never forgotten": Problem("ended and not in {where}, so it is kept for ever", "entered"),
    "out of turn": Problem(
        "works without {where}, so another may work at the same time",
        "the turn is given to it",
        "two work at once: look again when one has ended",
    ),
    "no text": Problem("has nothing to send: {where} is gone", advice="cancel it and make it anew"),
    "no photo": Problem(
        "has no photo to send: {where} is gone", advice="cancel it and make it anew"
    ),
    "fading text": Problem("{where} is to vanish before the job ends", "kept"),
    "rows lost": Problem(
        "{where} is not all that it had found, so it cannot go on",
        advice="cancel it and make it anew",
    ),
    "kept for ever": Problem("ended, and {where} stays", "forgotten in time"),
    "no callback": Problem("ended and nobody is told: {where} is missing", "opened"),
    "no job": Problem(
        "owed for {where}, which has no record", advice="it is delivered all the same"
    ),
    "turn of nobody": Problem("in {where} without a turn", "the turn goes to its line"),
    "idle turn": Problem("its turn is held by {where}, which has ended", "it goes to its line"),
    "endless turn": Problem(
        "its turn is not in {where}, so it never passes on", "it ends within a lease"
    ),
    "stuck line": Problem("{where} waits and nobody has the turn", "the first gets it"),
    "lost job": Problem(
        "its job {where} has no record: it was lost", advice="replay the event to make it anew"
    ),
}


@dataclass(frozen=True)
class Defect:
    """Something in the ledger that is not as it must be.

    Parameters:
      id: The job, delivery, account or event.
      problem: A key of PROBLEMS.
      where: The index, key or field.
      outcome: `mendable` (a repair would), `mended`, or `lost` (no repair can).
    """

    id: str
    problem: str
    where: str
    outcome: Outcome

    def __str__(self) -> str:
        """One line for people."""
        problem = PROBLEMS[self.problem]
        outcome = {
            "mendable": "--repair mends it",
            "mended": f"mended: {problem.cure}",
            "lost": f"cannot be mended: {problem.advice}",
        }[self.outcome]
        return f"{self.id}: {self.problem}: {problem.means.format(where=self.where)} ({outcome})"
