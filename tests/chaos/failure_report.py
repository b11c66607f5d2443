"""What a failure says: the seed, what was struck, and the jobs concerned with their timelines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from service.redis.client import REDIS_ERRORS
from tests.support.ledger import TIMES, LedgerHarness, open_ledger

_MOST_JOBS: Final = 3
_NAMES: Final = re.compile(r"\b(?:job|evt)_[\w.-]+")


def failure_report(
    seed: int, strikes: Sequence[str], findings: Sequence[str], url: str, latest: Sequence[str]
) -> str:
    """Tell what went wrong so that it can be found out why, and done again.

    Parameters:
      seed: Of every random choice.
      strikes: What was done to the processes, oldest first.
      findings: What is wrong; the jobs and events that they name are looked up.
      url: The store.
      latest: The jobs to look up where the findings name none (two devices, a login too many).
    """
    names = list(dict.fromkeys(_NAMES.findall("\n".join(findings)))) or list(latest)
    return "\n".join(
        [
            *findings,
            f"seed: CHAOS_SEED={seed}",
            f"strikes: {len(strikes)}",
            *(f"  {strike}" for strike in strikes),
            *_stories(names, url),
        ]
    )


def _stories(names: list[str], url: str) -> list[str]:
    try:
        with open_ledger(url, TIMES) as ledger:
            jobs = [job for name in names for job in _jobs(ledger, name)]
            return [_story(ledger, job) for job in list(dict.fromkeys(jobs))[:_MOST_JOBS]]
    except REDIS_ERRORS as error:
        return [f"the store does not tell more: {error!r}"]


def _jobs(ledger: LedgerHarness, name: str) -> Sequence[str]:
    """The jobs of an event; a job is its own."""
    if name.startswith("job_"):
        return [name]
    return [job for each in ledger.run(ledger.queries.events_named(name)) for job in each.jobs]


def _story(ledger: LedgerHarness, job: str) -> str:
    lines = ledger.run(ledger.queries.timeline(job))
    return "\n".join(
        [f"{job}: {ledger.run(ledger.queries.job(job))}", *(f"  {line}" for line in lines)]
    )
