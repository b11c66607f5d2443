"""A worker that stops during an attempt hands the job back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.jobs.attempt import perform
from service.jobs.model import Status
from tests.support.scripted_worker import ScriptedWorker


def test_a_shutdown_before_the_write_hands_the_job_back_uncharged(worker: ScriptedWorker) -> None:
    job_id = worker.ledger.add_job()

    async def cancelled_login() -> None:
        raise asyncio.CancelledError

    worker.gateway.ensure_login = cancelled_login  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        worker.attempt(job_id)

    record = worker.ledger.record(job_id)
    assert (record.status, record.attempts, worker.spent("dm")) == (Status.QUEUED, 0, 0)


def test_a_shutdown_during_the_write_leaves_it_to_be_verified(worker: ScriptedWorker) -> None:
    async def cancelled_send() -> None:
        raise asyncio.CancelledError

    worker.gateway.during = cancelled_send
    job_id = worker.ledger.add_job()
    with pytest.raises(asyncio.CancelledError):
        worker.attempt(job_id)

    assert worker.ledger.status(job_id) is Status.SENDING
    worker.gateway.during = None
    worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 1


def test_a_second_cancellation_does_not_interrupt_the_hand_back(worker: ScriptedWorker) -> None:
    job_id = worker.ledger.add_job()
    sending = asyncio.Event()

    async def send() -> None:
        sending.set()
        await asyncio.Event().wait()

    async def steps() -> None:
        attempt = asyncio.create_task(perform(worker.runtime, job_id))
        await sending.wait()
        # Given no free connection to the store, so that the hand-back has to wait
        pool: Any = worker.ledger.client.connection_pool
        taken = [await pool.get_connection() for _ in range(pool.max_connections)]
        for _ in range(2):
            attempt.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(attempt, return_exceptions=True)
        # When there is one again
        for connection in taken:
            await pool.release(connection)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*others), 30)

    worker.gateway.during = send
    worker.ledger.run(steps())

    # Then the job is handed back without waiting for its lease
    record = worker.ledger.record(job_id)
    assert (record.status, record.wait_reason) == (Status.SENDING, "")
    assert worker.ledger.store.zscore("hg:leases", job_id) is None
