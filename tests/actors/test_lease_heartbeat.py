"""The heartbeat thread over a real store and in real time, and beats whose store is a script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from actors.jobs.attempt_recorder import AttemptRecorder
from actors.jobs.next_steps import Finish
from actors.lease_heartbeat import (
    BEAT_BATCH,
    INTERVAL_SECONDS,
    Lease,
    LeaseHeartbeat,
    start_heartbeat,
)
from deploy.local.wait import free_port, until
from service.jobs.claims import Claims
from service.jobs.lua.heartbeat import HeartbeatReply
from service.jobs.model import Status
from service.redis.client import async_client
from tests.support.encryption import CIPHER
from tests.support.ledger import TIMES, LedgerHarness, open_ledger

#: Due at no full second, and closer together than the heartbeat's own beats.
DELAYS_MS = (150, 700, 850, 1300, 1350)
#: Well within a second on a machine with time to spare; this one may have none.
LATEST = timedelta(seconds=5)


class Heartbeats:
    """Heartbeats that beat at the same time, as those of many workers do."""

    def __init__(self, url: str, count: int) -> None:
        self._heartbeats: list[LeaseHeartbeat] = [start_heartbeat(url, TIMES) for _ in range(count)]

    def close(self) -> None:
        """Stop them all."""
        for heartbeat in self._heartbeats:
            heartbeat.stop()


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    """The ledger over an empty store."""
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger


@pytest.mark.parametrize("workers", [1, 3])
def test_jobs_are_queued_soon_after_their_time_and_once(
    ledger: LedgerHarness, store_url: str, workers: int
) -> None:
    with closing(Heartbeats(store_url, workers)):
        jobs = [ledger.add_job(delay_ms=ms, account=f"account-{ms}") for ms in DELAYS_MS]
        until(lambda: all(ledger.status(job) is Status.QUEUED for job in jobs), 10, "the queue")

    for job_id in jobs:
        [_, queued] = ledger.run(ledger.queries.timeline(job_id))
        due = datetime.fromtimestamp(ledger.record(job_id).run_at_ms / 1000, UTC)
        assert due <= datetime.fromisoformat(queued["at"]) < due + LATEST
    assert sorted(ledger.take_messages()) == sorted(jobs)


def test_the_next_beat_is_when_the_next_job_is_due(ledger: LedgerHarness, store_url: str) -> None:
    heartbeat = LeaseHeartbeat(store_url, TIMES)
    assert heartbeat._beat() == INTERVAL_SECONDS

    ledger.add_job(delay_ms=400)
    assert 0 < heartbeat._beat() <= 0.4
    heartbeat.stop()


def test_the_next_beat_follows_at_once_while_more_is_due(
    ledger: LedgerHarness, store_url: str
) -> None:
    heartbeat = LeaseHeartbeat(store_url, TIMES)
    jobs = ledger.add_jobs(BEAT_BATCH + 1, apart=True, delay_ms=1000)
    ledger.pass_time(1000)

    assert heartbeat._beat() == 0
    assert len(ledger.take_messages()) == BEAT_BATCH < len(jobs)
    heartbeat._beat()
    assert len(ledger.take_messages()) == 1
    heartbeat.stop()


def test_a_time_a_year_ahead_is_met_by_whichever_worker_beats_then(
    ledger: LedgerHarness, store_url: str
) -> None:
    year = 365 * 24 * 3600 * 1000
    job_id = ledger.add_job(delay_ms=year)
    ledger.pass_time(year - 400)
    with closing(Heartbeats(store_url, 2)):
        until(lambda: ledger.status(job_id) is Status.QUEUED, 10, "the queue")
    assert ledger.take_messages() == [job_id]


@pytest.mark.parametrize(("ending", "becomes"), [(True, "finished"), (False, "abandoned")])
def test_work_whose_end_is_being_recorded_is_not_taken_for_lost(
    ledger: LedgerHarness, store_url: str, ending: bool, becomes: str
) -> None:
    ends, other = ledger.claim(ledger.add_job()), ledger.claim(ledger.add_job(account="other"))

    async def work() -> str:
        heartbeat = start_heartbeat(store_url, ledger.script_config)
        maintained = [
            heartbeat.maintain(claim.id, claim.owner, claim.fence, time.monotonic())
            for claim in (ends, other)
        ]
        try:
            with maintained[0] as lease, maintained[1] as beat:
                # Given that the store has its end, and the reply to that is still on its way
                lease.ending = ending
                await asyncio.to_thread(ledger.finish, ends)
                # When the heartbeat has beaten since, whatever was under way
                for _ in range(2):
                    since = beat.renewed_at
                    while beat.renewed_at == since:  # noqa: ASYNC110 - a thread changes it
                        await asyncio.sleep(0.01)
                return "finished"
        except asyncio.CancelledError:
            return "abandoned"
        finally:
            await asyncio.to_thread(heartbeat.stop)

    assert asyncio.run(asyncio.wait_for(work(), 20)) == becomes


def test_a_step_that_ends_a_job_says_so_before_it_calls_the_store(
    ledger: LedgerHarness, store_url: str
) -> None:
    claim = ledger.claim(ledger.add_job())

    async def scenario() -> bool:
        client = async_client(store_url, max_connections=1)
        lease = a_lease(claim.id, claim.owner, claim.fence)
        recorder = AttemptRecorder(Claims(client, TIMES, CIPHER), claim, lease, lease.renewed_at)
        finish = asyncio.create_task(recorder.finish(Finish(Status.SUCCEEDED, result={})))
        await asyncio.sleep(0)  # it has sent its command, and cannot have the reply
        ending = lease.ending
        await finish
        await client.aclose()
        return ending

    assert asyncio.run(scenario())


@pytest.mark.parametrize(
    ("since_renewal", "left"), [(0.0, 6.0), (3.5, 2.5), (6.0, 0.0), (10.0, -4.0)]
)
def test_a_lease_is_certain_for_six_tenths_of_its_time(
    monkeypatch: pytest.MonkeyPatch, since_renewal: float, left: float
) -> None:
    async def scenario() -> Lease:
        return a_lease("job", "owner", 1)

    lease = asyncio.run(scenario())
    now = lease.renewed_at + since_renewal
    monkeypatch.setattr("actors.lease_heartbeat.time", SimpleNamespace(monotonic=lambda: now))

    assert lease.seconds_left() == pytest.approx(left, abs=1e-6)


def test_a_lease_is_renewed_from_when_the_beat_was_sent_not_from_its_reply(store_url: str) -> None:
    # Given a store that may have renewed the lease at once, and whose reply is slow
    def slow_reply(_call: Any) -> HeartbeatReply:
        time.sleep(0.5)
        return HeartbeatReply(lost=set(), done=0, next_ms=5000, loss=None)

    async def scenario() -> float:
        heartbeat = LeaseHeartbeat(store_url, TIMES)
        with heartbeat.maintain("job", "owner", 1, claimed_at=0.0) as lease:
            heartbeat._scripts.run = slow_reply  # type: ignore[assignment]
            heartbeat._beat()
        heartbeat.stop()
        return time.monotonic() - lease.renewed_at

    assert 0.5 <= asyncio.run(scenario()) < 10


def test_work_is_cancelled_before_its_lease_ends_when_the_store_is_gone() -> None:
    times = replace(TIMES, lease=4000)

    async def work() -> float:
        heartbeat = start_heartbeat(f"redis://127.0.0.1:{free_port()}/0", times)
        claimed_at = time.monotonic()
        try:
            with heartbeat.maintain("job", "owner", 1, claimed_at):
                await asyncio.sleep(20)
        except asyncio.CancelledError:
            return time.monotonic() - claimed_at
        finally:
            await asyncio.to_thread(heartbeat.stop)
        return 20.0

    # Overdue after 0.6 of the lease, cancelled at the next beat
    assert 2.4 <= asyncio.run(work()) < 4.0


def test_a_loss_of_history_is_an_error_in_the_log_once(store_url: str, store: redis.Redis) -> None:
    heartbeat = LeaseHeartbeat(store_url, TIMES)
    try:
        heartbeat._beat()
        # When the store has lost everything that it knew
        store.flushdb()
        with capture_logs() as lines:
            for _ in range(3):
                heartbeat._beat()
    finally:
        heartbeat.stop()
    assert [(line["log_level"], line["cause"]) for line in lines] == [("error", "mark")]


def a_lease(work_id: str, owner: str, fence: int) -> Lease:
    """A lease of ten seconds for the current task."""
    task = asyncio.current_task()
    assert task is not None
    return Lease(work_id, owner, fence, task, asyncio.get_running_loop(), time.monotonic(), 10.0)
