"""What attempts cost of the account's budgets, and which count against the job."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import Attempt, perform
from actors.jobs.lookups import LookupAttempt
from actors.jobs.writes import DirectMessage
from deploy.local.wait import until
from service.jobs.model import Status
from tests.support.scripted_gateway import (
    PK,
    lost_reply,
    no_connection,
    proxy_refused,
    refusal,
)
from tests.support.scripted_worker import ScriptedWorker


@pytest.mark.parametrize("failure", [no_connection(), proxy_refused()], ids=["connection", "proxy"])
def test_a_write_that_never_left_costs_no_budget(
    worker: ScriptedWorker, failure: Exception
) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [failure]
    worker.attempt(worker.ledger.add_job())

    assert worker.spent("dm") == 0


class UploadFails(DirectMessage):
    """A DM with an upload before it that fails, when its intent is recorded."""

    async def upload(self, _gateway: Gateway) -> None:
        """Fail."""
        raise lost_reply()


class UploadIsCancelled(DirectMessage):
    """A DM during whose upload the worker shuts down."""

    async def upload(self, _gateway: Gateway) -> None:
        """Be cancelled."""
        raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("write", "status"), [(UploadFails, Status.WAITING), (UploadIsCancelled, Status.QUEUED)]
)
def test_an_upload_that_fails_sends_no_write_and_costs_no_budget(
    worker: ScriptedWorker, write: type[DirectMessage], status: Status
) -> None:
    class UploadAttempt(Attempt):
        _job_write = write()

    job_id = worker.ledger.add_job()
    with suppress(asyncio.CancelledError):
        worker.attempt(job_id, work=UploadAttempt)

    assert worker.ledger.status(job_id) is status
    assert (worker.gateway.sent, worker.spent("dm")) == ([], 0)


def test_a_write_that_instagram_refused_costs_budget(worker: ScriptedWorker) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [refusal("unauthorized")]
    worker.attempt(worker.ledger.add_job())

    assert worker.spent("dm") == 1


@pytest.mark.parametrize(
    ("stage", "costs"), [("logins", 0), ("reads", 1)], ids=["login", "the read itself"]
)
def test_a_read_is_charged_once_it_is_sent(worker: ScriptedWorker, stage: str, costs: int) -> None:
    job_id = worker.ledger.add_job(kind="lookup", text="")
    setattr(worker.gateway, stage, [lost_reply()])
    worker.attempt(job_id, work=LookupAttempt)

    assert worker.ledger.status(job_id) is Status.WAITING
    assert worker.spent("lookup") == costs


def test_a_dm_to_somebody_just_looked_up_needs_no_lookup_of_its_own(
    worker: ScriptedWorker,
) -> None:
    worker.attempt(worker.ledger.add_job(kind="lookup", text=""), work=LookupAttempt)

    assert worker.ledger.run(worker.runtime.user_ids.pk("some.handle")) == PK


def test_an_end_that_redis_refuses_for_a_moment_is_recorded_later(worker: ScriptedWorker) -> None:
    store: Any = worker.ledger.store

    def refused() -> bool:
        return "errorstat_NOPERM" in store.info("errorstats")

    async def forbid_scripts() -> None:
        store.config_resetstat()
        store.execute_command("ACL", "SETUSER", "default", "-fcall", "-evalsha")

    async def steps(job_id: str) -> None:
        attempt = asyncio.create_task(perform(worker.runtime, job_id))
        try:
            await asyncio.to_thread(until, refused)
        finally:
            store.execute_command("ACL", "SETUSER", "default", "+fcall", "+evalsha")
        await attempt

    worker.gateway.during = forbid_scripts
    job_id = worker.ledger.add_job()
    worker.ledger.run(steps(job_id))

    assert worker.ledger.status(job_id) is Status.SUCCEEDED


def test_redis_errors_do_not_count_as_failed_attempts(worker: ScriptedWorker) -> None:
    job_id = worker.ledger.add_job()
    worker.gateway.logins = [RedisConnectionError("lost")]
    with pytest.raises(RedisConnectionError):
        worker.attempt(job_id)

    # Nothing is recorded: the lease expires, and another attempt follows
    assert worker.ledger.status(job_id) is Status.RUNNING
    worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert worker.ledger.record(job_id).failed_attempts == 0
