"""The counters of one hour, as lua/lib/stats.lua stores them. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class JobEnds(NamedTuple):
    """Runs of jobs that ended alike.

    Parameters:
      account: Name of the account.
      rule: Name of the rule; None for a job that no rule has made.
      kind: What they did.
      outcome: The final status, or `dry_run`.
      code: Of the error, if there was one.
      wait: Number of the bucket of their waits (waits.py), if that was counted.
    """

    account: str
    rule: str | None
    kind: str
    outcome: str
    code: str | None = None
    wait: int | None = None


class Callbacks(NamedTuple):
    """Callbacks, or attempts at some, that ended alike.

    Parameters:
      endpoint: Name of the callback endpoint.
      outcome: `delivered`, `failed`, or `retried`: an attempt that another one follows.
    """

    endpoint: str
    outcome: str


@lru_cache(maxsize=20_000)
def parse_field(field: bytes) -> JobEnds | Callbacks | None:
    """What a field counts; None for what only a newer release counts."""
    what, *parts = field.decode().split(":", 5)
    if what == "job" and len(parts) == 5:
        account, rule, kind, outcome, detail = parts
        ends = JobEnds(account, rule or None, kind, outcome)
        if outcome == "succeeded":
            return ends._replace(wait=int(detail) if detail else None)
        return ends._replace(code=detail or None)
    if what == "callback" and len(parts) == 2:
        return Callbacks(*parts)
    return None
