"""A failure's message: the seed, the injected faults, and the timelines of the jobs concerned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from service.redis.client import REDIS_ERRORS
from tests.support.ledger import TIMES, LedgerHarness, open_ledger

_MAX_JOBS: Final = 3
_NAMES: Final = re.compile(r"\b(?:job|evt)_[\w.-]+")


def failure_report(
    seed: int, faults: Sequence[str], findings: Sequence[str], url: str, latest: Sequence[str]
) -> str:
    """Describe a failure so that it can be explained and reproduced.

    Parameters:
      seed: The seed of every random choice.
      faults: What was done to the processes, oldest first.
      findings: What is wrong; the jobs and events they name are read from the store.
      url: The store.
      latest: The jobs to read if the findings name none (two devices, one login too many).
    """
    names = list(dict.fromkeys(_NAMES.findall("\n".join(findings)))) or list(latest)
    return "\n".join(
        [
            *findings,
            f"seed: CHAOS_SEED={seed}",
            f"faults: {len(faults)}",
            *(f"  {fault}" for fault in faults),
            *_timelines(names, url),
        ]
    )


def _timelines(names: list[str], url: str) -> list[str]:
    try:
        with open_ledger(url, TIMES) as ledger:
            jobs = [job for name in names for job in _jobs(ledger, name)]
            return [_timeline(ledger, job) for job in list(dict.fromkeys(jobs))[:_MAX_JOBS]]
    except REDIS_ERRORS as error:
        return [f"the store cannot be read: {error!r}"]


def _jobs(ledger: LedgerHarness, name: str) -> Sequence[str]:
    """The jobs of an event, or the job itself."""
    if name.startswith("job_"):
        return [name]
    return [job for each in ledger.run(ledger.queries.events_with_id(name)) for job in each.jobs]


def _timeline(ledger: LedgerHarness, job: str) -> str:
    lines = ledger.run(ledger.queries.timeline(job))
    return "\n".join(
        [f"{job}: {ledger.run(ledger.queries.job(job))}", *(f"  {line}" for line in lines)]
    )
