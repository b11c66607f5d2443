"""The beating thread itself, over a real store and real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import redis

from actors.jobs.attempt_recorder import AttemptRecorder
from actors.jobs.next_steps import Finish
from actors.lease_heartbeat import Lease, LeaseHeartbeat, start_heartbeat
from deploy.local.wait import until
from service.jobs.claims import Claims
from service.jobs.model import Status
from service.redis.client import async_client
from tests.support.ledger import TIMES, LedgerHarness, open_ledger

#: Due at no round second, and closer together than the pulse's own beats.
DELAYS_MS = (150, 700, 850, 1300, 1350)


class Pulses:
    """Pulses that beat at the same time, as those of many workers do."""

    def __init__(self, url: str, count: int) -> None:
        self._pulses: list[LeaseHeartbeat] = [start_heartbeat(url, TIMES) for _ in range(count)]

    def close(self) -> None:
        """Stop them all."""
        for pulse in self._pulses:
            pulse.stop()


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    """The ledger over an empty store."""
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger


@pytest.mark.parametrize("workers", [1, 3])
def test_a_job_is_queued_at_its_second_and_once(
    ledger: LedgerHarness, store_url: str, workers: int
) -> None:
    with closing(Pulses(store_url, workers)):
        jobs = [ledger.add_job(delay_ms=ms, account=f"account-{ms}") for ms in DELAYS_MS]
        until(lambda: all(ledger.status(job) is Status.QUEUED for job in jobs), 10, "the queue")

    for job_id in jobs:
        [_, queued] = ledger.run(ledger.queries.timeline(job_id))
        due = datetime.fromtimestamp(ledger.record(job_id).run_at_ms / 1000, UTC)
        assert due <= datetime.fromisoformat(queued["at"]) < due + timedelta(seconds=1)
    assert sorted(ledger.take_messages()) == sorted(jobs)


def test_a_time_a_year_ahead_is_met_by_whoever_beats_then(
    ledger: LedgerHarness, store_url: str
) -> None:
    year = 365 * 24 * 3600 * 1000
    job_id = ledger.add_job(delay_ms=year)
    ledger.pass_time(year - 400)
    with closing(Pulses(store_url, 2)):
        until(lambda: ledger.status(job_id) is Status.QUEUED, 10, "the queue")
    assert ledger.take_messages() == [job_id]


@pytest.mark.parametrize(("ending", "becomes"), [(True, "goes on"), (False, "abandoned")])
def test_work_whose_end_is_being_recorded_is_not_taken_for_lost(
    ledger: LedgerHarness, store_url: str, ending: bool, becomes: str
) -> None:
    ends, other = ledger.claim(ledger.add_job()), ledger.claim(ledger.add_job(account="other"))

    async def work() -> str:
        pulse = start_heartbeat(store_url, ledger.times)
        keeping = [
            pulse.maintain(each.job.id, each.owner, each.fence, time.monotonic())
            for each in (ends, other)
        ]
        try:
            with keeping[0] as hold, keeping[1] as beat:
                # Given that the store has its end, and the reply to that is still on its way
                hold.ending = ending
                await asyncio.to_thread(ledger.finish, ends)
                # When the pulse has beaten since, whatever was under way
                for _ in range(2):
                    since = beat.renewed_at
                    while beat.renewed_at == since:  # noqa: ASYNC110 - a thread changes it
                        await asyncio.sleep(0.01)
                return "goes on"
        except asyncio.CancelledError:
            return "abandoned"
        finally:
            await asyncio.to_thread(pulse.stop)

    assert asyncio.run(asyncio.wait_for(work(), 20)) == becomes


def test_a_step_that_ends_a_job_says_so_before_it_asks_the_store(
    ledger: LedgerHarness, store_url: str
) -> None:
    claim = ledger.claim(ledger.add_job())

    async def story() -> bool:
        client = async_client(store_url, max_connections=1)
        task = asyncio.current_task()
        assert task is not None
        loop, now = asyncio.get_running_loop(), time.monotonic()
        hold = Lease(claim.job.id, claim.owner, claim.fence, task, loop, now, 10.0)
        steps = AttemptRecorder(Claims(client, TIMES), claim, hold, now)
        ending = asyncio.create_task(steps.finish(Finish(Status.SUCCEEDED, result={})))
        await asyncio.sleep(0)  # it asks, and nothing can have been answered
        said = hold.ending
        await ending
        await client.aclose()
        return said

    assert asyncio.run(story())
