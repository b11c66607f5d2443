"""Consistency checks beside busy processes: a consistent ledger never has problems."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final

from service.deliveries.delivery_filter import DeliveryFilter
from service.jobs.account_effect import AccountEffect
from service.jobs.claims import Claim
from service.jobs.consistency_check import ConsistencyCheck
from service.jobs.consistency_problems import Defect
from service.jobs.job_filter import JobFilter
from service.jobs.lua.heartbeat import heartbeat
from service.jobs.lua.runner import Scripts
from service.jobs.model import FINAL, Status
from tests.support.invariants import audit
from tests.support.ledger import FAILURE, RESULT, Event, LedgerHarness, draft

CHECKS: Final = 8
WORKERS: Final = 4
ACCOUNTS: Final = [f"account-{number}" for number in range(4)]
ENDS: Final = (
    *[Status.SUCCEEDED] * 6,
    *sorted(FINAL),
    *(Status.SENDING, Status.WAITING, Status.QUEUED, Status.HELD),
)
COOLDOWN: Final = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=30)


class BusyProcesses:
    """Senders, workers, people and a heartbeat that use one ledger concurrently.

    Parameters:
      ledger: The ledger.
    """

    def __init__(self, ledger: LedgerHarness) -> None:
        self._ledger = ledger
        self._rng = random.Random(7)
        self._numbers = itertools.count()
        self._scripts = Scripts(ledger.client, ledger.script_config)
        self.jobs = [job for account in ACCOUNTS for job in ledger.add_jobs(50, account=account)]
        self.steps = 0
        self.stopped = False

    def coroutines(self) -> Iterator[Coroutine[Any, Any, None]]:
        """One coroutine per process, each running until `stopped` is set."""
        yield from (self._repeat(self._work) for _ in range(WORKERS))
        yield from map(self._repeat, (self._send, self._person, self._deliver, self._beat))

    async def _repeat(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self.stopped:
            await act()
            self.steps += 1
            await asyncio.sleep(0)  # without work, let the others run

    async def _send(self) -> None:
        job_draft = draft(
            account=self._rng.choice(ACCOUNTS),
            priority=self._rng.randrange(10),
            delay_ms=self._rng.choice([0, 0, 20]),
            expires_ms=self._rng.choice([None, None, 60]),
            failure=self._rng.choice([None] * 5 + [FAILURE]),
        )
        event = Event(f"evt_{next(self._numbers)}")
        accepted = await self._ledger.core.accept("stripe", event, [job_draft], body=b"{}")
        self.jobs += accepted.jobs
        await asyncio.sleep(0.03)  # limits the number of jobs, and so the duration of a check

    async def _work(self) -> None:
        owner = f"worker-{next(self._numbers)}"
        claim = await self._ledger.claims.claim(await self._pick_job(), owner)
        if claim is None:
            return
        if claim.verify_first or await self._record_intent(claim):
            await self._finish_or_release(claim)

    async def _pick_job(self) -> str:
        """Mostly a job that has the turn; sometimes any, like a repeated wake-up."""
        if self._rng.random() < 0.2:
            return self._rng.choice(self.jobs)
        state = self._rng.choice([Status.QUEUED, Status.SENDING])
        page = await self._ledger.finder.page(JobFilter((state,)), cursor=None, limit=5)
        granted: list[str] = [job["id"] for job in page.items]
        return self._rng.choice(granted or self.jobs)

    async def _record_intent(self, claim: Claim) -> bool:
        record_intent = self._ledger.claims.record_intent
        reply = await record_intent(claim, pk="1", context="token")
        if reply == "ask":
            reply = await record_intent(claim, pk="1", context="token", thread="new")
        return reply == "ok"

    async def _finish_or_release(self, claim: Claim) -> None:
        to = self._rng.choice(ENDS)
        if to in FINAL:
            await self._ledger.claims.finish(claim, to, result=RESULT)
        elif to is Status.WAITING:
            await self._ledger.claims.release(claim, to, "limit", after_ms=30, effect=COOLDOWN)
        elif to is Status.HELD:
            effect = AccountEffect(hold="challenge")
            await self._ledger.claims.release(claim, to, "challenge", effect=effect)
        elif to is Status.SENDING or to is Status.QUEUED:
            await self._ledger.claims.release(claim, to, "again", after_ms=20)

    async def _person(self) -> None:
        account = self._rng.choice(ACCOUNTS)
        await self._ledger.controls.pause(account)
        job_id = self._rng.choice(self.jobs)
        await self._ledger.core.cancel(job_id, "api:test")
        await self._ledger.core.retry(job_id, "api:test")
        await self._ledger.controls.resume(account)

    async def _deliver(self) -> None:
        page = await self._ledger.deliveries.page(
            DeliveryFilter(("pending",)), cursor=None, limit=5
        )
        for delivery in page.items:
            claim = await self._ledger.deliveries.claim(delivery["id"], "worker")
            if claim is not None:
                to: Any = self._rng.choice(["delivered", "failed", "pending"])
                await self._ledger.deliveries.record(claim, to, {}, after_ms=10)

    async def _beat(self) -> None:
        await self._scripts.run(heartbeat(100, 1, *self._ledger.mark.next_raise()))


async def _check_meanwhile(ledger: LedgerHarness, processes: BusyProcesses) -> list[list[Defect]]:
    """Check repeatedly while the processes run; returns the problems of each check."""
    check = ConsistencyCheck(ledger.client, ledger.script_config)
    tasks = [asyncio.create_task(coroutine) for coroutine in processes.coroutines()]
    results = []
    try:
        for _ in range(CHECKS):
            before = processes.steps
            results.append([defect async for defect in check.defects()])
            assert processes.steps > before
        return results
    finally:
        processes.stopped = True
        await asyncio.gather(*tasks)


def test_a_busy_ledger_has_no_problems(ledger: LedgerHarness) -> None:
    processes = BusyProcesses(ledger)
    assert ledger.run(_check_meanwhile(ledger, processes)) == [[]] * CHECKS
    assert {str(ledger.status(job_id)) for job_id in processes.jobs} >= {"waiting", "succeeded"}
    assert audit(ledger) == []
