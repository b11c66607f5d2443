"""Batches of events: no batch creates more jobs than the store may be kept busy with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.jobs.lua.group_commit import MOST_JOBS_AT_ONCE
from service.jobs.replies import Acceptance
from tests.support.ledger import Event, LedgerHarness, draft


def _accept_at_once(ledger: LedgerHarness, events: int, jobs: int) -> list[Acceptance]:
    drafts = [draft(rule=f"rule-{number}") for number in range(jobs)]

    async def accept() -> list[Acceptance]:
        return await asyncio.gather(
            *(
                ledger.core.accept("stripe", Event(f"evt_{number}"), drafts, body=b"{}")
                for number in range(events)
            )
        )

    return ledger.run(accept())


@pytest.mark.parametrize(
    ("events", "jobs", "least"),
    [(200, 1, 200 // MOST_JOBS_AT_ONCE), (40, 20, 40 // 2), (40, 25, 40 // 2), (6, 0, 1)],
)
def test_a_batch_creates_a_bounded_number_of_jobs(
    ledger: LedgerHarness, events: int, jobs: int, least: int
) -> None:
    ledger.accept(Event("evt_before"))
    ledger.store.config_resetstat()

    accepted = _accept_at_once(ledger, events, jobs)

    stats: dict[str, Any] = ledger.store.info("commandstats")
    assert stats["cmdstat_fcall"]["calls"] >= least
    assert {each.outcome for each in accepted} == {"accepted"}
    assert len({job_id for each in accepted for job_id in each.jobs}) == events * jobs
