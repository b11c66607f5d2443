"""What an error on a job means for its whole account."""

from __future__ import annotations

from actors.instagram.errors import ErrorDecision, Outcome
from service.jobs.claims import NO_EFFECT, AccountEffect
from service.jobs.model import rate_limit_kind


def effect_of(verdict: ErrorDecision, kind: str) -> AccountEffect:
    """Whether the account is held or rests, and what of it.

    Parameters:
      verdict: The error, judged.
      kind: The job's.
    """
    if verdict.outcome in (Outcome.HOLD, Outcome.FIX_PROXY, Outcome.RELOGIN):
        return AccountEffect(hold=verdict.code)
    if verdict.outcome is Outcome.COOL_DOWN and verdict.cooldown_seconds:
        return AccountEffect(
            cooldown=verdict.code,
            kind=rate_limit_kind(kind) if verdict.scope == "kind" else "*",
            cooldown_ms=1000 * verdict.cooldown_seconds,
            escalation=verdict.escalation,
        )
    return NO_EFFECT
