"""Leases: for how long they are certain, and whose work is canceled when they are lost."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from actors.jobs.attempt_recorder import AttemptRecorder
from actors.jobs.next_steps import Finish
from actors.lease_heartbeat import (
    Lease,
    LeaseHeartbeat,
    start_heartbeat,
)
from deploy.local.wait import free_port
from service.jobs.claims import Claims
from service.jobs.lua.heartbeat import HeartbeatReply
from service.jobs.model import Status
from service.redis.client import async_client
from tests.support.encryption import CIPHER
from tests.support.ledger import TIMES, LedgerHarness


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


def test_a_lease_is_renewed_from_when_the_beat_was_sent_not_from_its_reply(
    monkeypatch: pytest.MonkeyPatch, store_url: str
) -> None:
    sent_at, seconds_to_reply = 1000.0, 0.5
    clock = SimpleNamespace(now=sent_at)

    # Given a store that may have renewed the lease at once, and whose reply is slow
    def slow_reply(_call: Any) -> HeartbeatReply:
        clock.now += seconds_to_reply
        return HeartbeatReply(lost=set(), done=0, next_ms=5000, loss=None)

    async def scenario() -> Lease:
        heartbeat = LeaseHeartbeat(store_url, TIMES)
        with heartbeat.maintain("job", "owner", 1, claimed_at=0.0) as lease:
            assert lease.renewed_at == 0.0
            heartbeat._scripts.run = slow_reply  # type: ignore[assignment]
            heartbeat._beat()
        heartbeat.stop()
        return lease

    fake_time = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr("actors.lease_heartbeat.time", fake_time)
    assert asyncio.run(scenario()).renewed_at == sent_at
    assert clock.now == sent_at + seconds_to_reply


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


def test_a_store_that_hangs_does_not_delay_the_cancellation_by_another_beat() -> None:
    times = replace(TIMES, lease=8000)

    async def work(url: str) -> float:
        # Given a first beat (from 1.0 to 3.4 s) that ends before the renewal is overdue (3.8 s)
        claimed_at = time.monotonic() - 1.0
        heartbeat = start_heartbeat(url, times)
        try:
            with heartbeat.maintain("job", "owner", 1, claimed_at):
                await asyncio.sleep(20)
        except asyncio.CancelledError:
            return time.monotonic() - claimed_at
        finally:
            await asyncio.to_thread(heartbeat.stop)
        return 20.0

    with socket.create_server(("127.0.0.1", 0)) as silent:
        seconds = asyncio.run(work(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
    # Then it is canceled before the next beat (from 4.4 to 6.8 s), not after it
    assert 4.8 <= seconds < 6.8


def test_work_that_goes_on_after_its_claim_is_left_alone(
    ledger: LedgerHarness, store_url: str
) -> None:
    ended, other = ledger.claim(ledger.add_job()), ledger.claim(ledger.add_job(account="other"))

    async def work() -> str:
        heartbeat = start_heartbeat(store_url, ledger.script_config)
        try:
            with heartbeat.maintain(ended.id, ended.owner, ended.fence, time.monotonic()):
                await asyncio.to_thread(ledger.finish, ended)
            # When the heartbeat beats while the task does something else
            with heartbeat.maintain(other.id, other.owner, other.fence, time.monotonic()) as beat:
                for _ in range(2):
                    since = beat.renewed_at
                    while beat.renewed_at == since:  # noqa: ASYNC110 - a thread changes it
                        await asyncio.sleep(0.01)
            return "finished"
        finally:
            await asyncio.to_thread(heartbeat.stop)

    assert asyncio.run(asyncio.wait_for(work(), 20)) == "finished"


def test_a_claim_made_during_a_beat_is_not_lost_with_the_one_before_it(store_url: str) -> None:
    async def scenario() -> int:
        heartbeat = LeaseHeartbeat(store_url, TIMES)
        task = asyncio.current_task()
        assert task is not None
        with ExitStack() as earlier, ExitStack() as later:
            earlier.enter_context(heartbeat.maintain("job", "owner", 1, time.monotonic()))

            # Given a job whose claim ends and that is claimed again while the beat is on its way
            def reply(_call: Any) -> HeartbeatReply:
                earlier.close()
                later.enter_context(heartbeat.maintain("job", "owner", 2, time.monotonic()))
                return HeartbeatReply(lost={"job"}, done=0, next_ms=None, loss=None)

            heartbeat._scripts.run = reply  # type: ignore[assignment]
            heartbeat._beat()
            await asyncio.sleep(0)
        heartbeat.stop()
        return task.cancelling()

    assert asyncio.run(scenario()) == 0


def a_lease(work_id: str, owner: str, fence: int) -> Lease:
    """A lease of ten seconds for the current task."""
    task = asyncio.current_task()
    assert task is not None
    return Lease(work_id, owner, fence, task, asyncio.get_running_loop(), time.monotonic(), 10.0)
