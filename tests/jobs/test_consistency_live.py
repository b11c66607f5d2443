"""The examination beside processes at work: a sound ledger has no findings at any moment."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final

from service.jobs.claims import AccountEffect, Claim
from service.jobs.consistency_check import Examination
from service.jobs.consistency_problems import Defect
from service.jobs.lua.heartbeat import heartbeat
from service.jobs.lua.runner import Scripts
from service.jobs.model import FINAL, Status
from service.jobs.queries import JobFilter
from tests.support.invariants import audit
from tests.support.ledger import FAILURE, RESULT, Event, LedgerHarness, draft

LOOKS: Final = 8
WORKERS: Final = 4
ACCOUNTS: Final = [f"account-{number}" for number in range(4)]
ENDS: Final = (
    *[Status.SUCCEEDED] * 6,
    *sorted(FINAL),
    *(Status.SENDING, Status.WAITING, Status.QUEUED, Status.HELD),
)
COOLING: Final = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=30)


class Bustle:
    """Senders, workers, people and a pulse that all work on one ledger at once.

    Parameters:
      ledger: The ledger.
    """

    def __init__(self, ledger: LedgerHarness) -> None:
        self._ledger = ledger
        self._dice = random.Random(7)
        self._numbers = itertools.count()
        self._scripts = Scripts(ledger.client, ledger.script_config)
        self.jobs = [job for account in ACCOUNTS for job in ledger.add_jobs(50, account=account)]
        self.steps = 0
        self.over = False

    def lives(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What each who takes part does until all is over."""
        yield from (self._go_on(self._work) for _ in range(WORKERS))
        yield from map(self._go_on, (self._send, self._person, self._deliver, self._beat))

    async def _go_on(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self.over:
            await act()
            self.steps += 1
            await asyncio.sleep(0)  # one who finds nothing to do lets the others go on

    async def _send(self) -> None:
        asked = draft(
            account=self._dice.choice(ACCOUNTS),
            priority=self._dice.randrange(10),
            delay_ms=self._dice.choice([0, 0, 20]),
            expires_ms=self._dice.choice([None, None, 60]),
            failure=self._dice.choice([None] * 5 + [FAILURE]),
        )
        event = Event(f"evt_{next(self._numbers)}")
        accepted = await self._ledger.core.accept("stripe", event, [asked], body=b"{}")
        self.jobs += accepted.jobs
        await asyncio.sleep(0.03)  # a look takes longer the more there is to look at

    async def _work(self) -> None:
        owner = f"worker-{next(self._numbers)}"
        claim = await self._ledger.claims.claim(await self._rung_for(), owner)
        if claim is None:
            return
        if claim.verify_first or await self._intend(claim):
            await self._end(claim)

    async def _rung_for(self) -> str:
        """Mostly a job whose turn it is; sometimes any, as an echo would have it."""
        if self._dice.random() < 0.2:
            return self._dice.choice(self.jobs)
        state = self._dice.choice([Status.QUEUED, Status.SENDING])
        page = await self._ledger.queries.jobs(JobFilter(state), cursor=None, limit=5)
        rung: list[str] = [job["id"] for job in page.items]
        return self._dice.choice(rung or self.jobs)

    async def _intend(self, claim: Claim) -> bool:
        intend = self._ledger.claims.record_intent
        reply = await intend(claim, pk="1", context="token")
        if reply == "ask":
            reply = await intend(claim, pk="1", context="token", thread="new")
        return reply == "ok"

    async def _end(self, claim: Claim) -> None:
        to = self._dice.choice(ENDS)
        if to in FINAL:
            await self._ledger.claims.finish(claim, to, result=RESULT)
        elif to is Status.WAITING:
            await self._ledger.claims.release(claim, to, "limit", after_ms=30, effect=COOLING)
        elif to is Status.HELD:
            effect = AccountEffect(hold="challenge")
            await self._ledger.claims.release(claim, to, "challenge", effect=effect)
        elif to is Status.SENDING or to is Status.QUEUED:
            await self._ledger.claims.release(claim, to, "again", after_ms=20)

    async def _person(self) -> None:
        account = self._dice.choice(ACCOUNTS)
        await self._ledger.controls.pause(account)
        job_id = self._dice.choice(self.jobs)
        await self._ledger.core.cancel(job_id, "api:test")
        await self._ledger.core.retry(job_id, "api:test")
        await self._ledger.controls.resume(account)

    async def _deliver(self) -> None:
        page = await self._ledger.deliveries.page("pending", cursor=None, limit=5)
        for delivery in page.items:
            claim = await self._ledger.deliveries.claim(delivery["id"], "worker")
            if claim is not None:
                to: Any = self._dice.choice(["delivered", "failed", "pending"])
                await self._ledger.deliveries.record(claim, to, {}, after_ms=10)

    async def _beat(self) -> None:
        await self._scripts.run(heartbeat(100))


async def _look_meanwhile(ledger: LedgerHarness, bustle: Bustle) -> list[list[Defect]]:
    """Look again and again while everybody works; what each look found."""
    doctor = Examination(ledger.client, ledger.script_config)
    tasks = [asyncio.create_task(life) for life in bustle.lives()]
    looks = []
    try:
        for _ in range(LOOKS):
            before = bustle.steps
            looks.append([defect async for defect in doctor.defects()])
            assert bustle.steps > before
        return looks
    finally:
        bustle.over = True
        await asyncio.gather(*tasks)


def test_a_ledger_at_work_has_no_findings(ledger: LedgerHarness) -> None:
    bustle = Bustle(ledger)
    assert ledger.run(_look_meanwhile(ledger, bustle)) == [[]] * LOOKS
    assert {str(ledger.status(job_id)) for job_id in bustle.jobs} >= {"waiting", "succeeded"}
    assert audit(ledger) == []
