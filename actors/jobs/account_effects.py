"""What an error on a job means for its whole account."""

from __future__ import annotations

from actors.instagram.errors import Outcome, Verdict
from service.jobs.claims import NO_EFFECT, AccountEffect
from service.jobs.model import pace_of


def effect_of(verdict: Verdict, kind: str) -> AccountEffect:
    """Whether the account is held or rests, and what of it.

    Parameters:
      verdict: The error, judged.
      kind: The job's.
    """
    if verdict.outcome in (Outcome.PERSON, Outcome.FIX_PROXY, Outcome.RELOGIN):
        return AccountEffect(hold=verdict.code)
    if verdict.outcome is Outcome.BACK_OFF and verdict.cooldown_seconds:
        return AccountEffect(
            cool=verdict.code,
            kind=pace_of(kind) if verdict.scope == "kind" else "*",
            cool_ms=1000 * verdict.cooldown_seconds,
            again=verdict.again,
        )
    return NO_EFFECT
