"""Attempts over a real store: what each end of a call leaves in the ledger and at Instagram."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import Attempt, perform
from actors.jobs.lookups import LookupAttempt
from actors.jobs.next_steps import VERIFY_BACKOFF_SECONDS
from actors.jobs.writes import DirectMessage
from service.jobs.model import Status
from tests.support.ledger import DAY, HOUR, SECOND, LedgerHarness, open_ledger
from tests.support.runtime import endpoint, make_runtime
from tests.support.scripted_gateway import (
    REFUSALS,
    NoAccounts,
    ScriptedGateway,
    lost_reply,
    no_connection,
    proxy_refused,
    refusal,
)


class Worker:
    """A worker of one process, whose messages are its test's calls.

    Parameters:
      ledger: The ledger.
      gateway: The account's gateway.
    """

    def __init__(self, ledger: LedgerHarness, gateway: ScriptedGateway) -> None:
        self.ledger = ledger
        self.gateway = gateway
        self.runtime = make_runtime(ledger, endpoint("crm"), gateways=gateway)

    def attempt(self, job_id: str, **options: Any) -> None:
        """Make one attempt at a job that is due."""
        self.ledger.run(perform(self.runtime, job_id, **options))

    def attempt_later(self, job_id: str, ms: int = HOUR) -> None:
        """Let time pass until the job is due, and make one attempt."""
        self.ledger.pass_time(ms)
        self.ledger.heartbeat()
        self.attempt(job_id)


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger


@pytest.fixture
def worker(ledger: LedgerHarness) -> Iterator[Worker]:
    worker = Worker(ledger, ScriptedGateway())
    yield worker
    worker.runtime.heartbeat.stop()


def spent(ledger: LedgerHarness, limit: str) -> int:
    """How much of an account's budget is used."""
    return int(ledger.store.zcard(f"hg:acct:shop:spent:{limit}"))


def unconfirmed(worker: Worker) -> str:
    """A job whose write was sent, with the reply lost."""
    worker.gateway.sends = [lost_reply()]
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)
    assert worker.ledger.status(job_id) is Status.SENDING
    return job_id


def test_a_write_that_succeeds_is_made_once(worker: Worker) -> None:
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)

    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert worker.gateway.stored == worker.gateway.sent == [f"{job_id}:1"]
    assert spent(worker.ledger, "dm") == 1


def test_a_lost_reply_is_settled_and_the_write_found_not_sent_again(worker: Worker) -> None:
    job_id = unconfirmed(worker)
    worker.attempt_later(job_id)

    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 1


def test_an_unconfirmed_write_is_left_alone_until_it_has_settled(worker: Worker) -> None:
    job_id = unconfirmed(worker)
    worker.ledger.take_messages()

    for seconds, due in ((0, []), (4, []), (1, [job_id])):
        worker.ledger.pass_time(seconds * SECOND)
        worker.ledger.heartbeat()
        assert worker.ledger.take_messages() == due


@pytest.mark.parametrize(
    "failure",
    [
        no_connection(),
        refusal("unauthorized"),
        refusal("user_not_found"),
        refusal("challenge_required"),
        refusal("throttled"),
    ],
    ids=lambda failure: str(failure.policy.code),
)
def test_a_failed_verification_leaves_the_write_unconfirmed(
    worker: Worker, failure: Exception
) -> None:
    # Given a write that has arrived, and a verification that says nothing of it
    job_id = unconfirmed(worker)
    worker.gateway.searches = [failure]
    worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.SENDING

    # When the next verification can be made
    worker.ledger.run(worker.runtime.accounts.resume("shop"))
    worker.attempt_later(job_id)

    # Then it finds the write, which was sent once
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 1


def test_verifications_that_always_fail_end_uncertain_with_a_callback(worker: Worker) -> None:
    job_id = unconfirmed(worker)
    failures = len(VERIFY_BACKOFF_SECONDS) + 1
    worker.gateway.searches = [no_connection() for _ in range(failures)]
    for _ in range(failures):
        assert worker.ledger.status(job_id) is Status.SENDING
        worker.attempt_later(job_id)

    assert worker.ledger.status(job_id) is Status.UNCERTAIN
    [delivery] = worker.ledger.deliveries_of(job_id)
    assert delivery["type"] == "job.uncertain"
    assert len(worker.gateway.sent) == 1


def test_a_write_that_never_arrives_is_sent_three_times_and_then_uncertain(
    worker: Worker,
) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [lost_reply() for _ in range(20)]
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)
    for _ in range(40):
        if worker.ledger.status(job_id) is Status.UNCERTAIN:
            break
        worker.attempt_later(job_id, DAY)

    assert worker.ledger.status(job_id) is Status.UNCERTAIN
    assert worker.gateway.sent == [f"{job_id}:1"] * 3


def test_attempts_that_fail_before_the_write_take_none_of_its_resends(worker: Worker) -> None:
    worker.gateway.logins = [no_connection() for _ in range(4)]
    worker.gateway.arrives = False
    worker.gateway.sends = [lost_reply()]
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)
    for _ in range(20):
        worker.attempt_later(job_id)

    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 2


def test_a_retry_by_a_person_counts_refusals_and_resends_anew(worker: Worker) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [lost_reply(), *(refusal("unknown") for _ in range(3))]
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)
    for _ in range(20):
        worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.FAILED
    assert len(worker.gateway.sent) == 4

    worker.ledger.run(worker.runtime.ledger.retry(job_id, "crm"))
    record = worker.ledger.record(job_id)
    assert (record.refusals, record.resends) == (0, 0)


@pytest.mark.parametrize("missing", ["account", "callback"])
@pytest.mark.parametrize("sending", [True, False], ids=["unconfirmed", "new"])
def test_a_job_waits_for_a_worker_that_knows_its_account_and_callback(
    worker: Worker, missing: str, sending: bool
) -> None:
    job_id = unconfirmed(worker) if sending else worker.ledger.add_job()

    # When a worker of another release takes it
    other = (
        replace(worker.runtime, gateways=NoAccounts())  # type: ignore[arg-type]
        if missing == "account"
        else make_runtime(worker.ledger, gateways=worker.gateway)
    )
    worker.ledger.pass_time(HOUR)
    worker.ledger.heartbeat()
    worker.ledger.run(perform(other, job_id))

    # Then an unconfirmed write stays one, to be verified by a worker that knows the configuration
    expected = Status.SENDING if sending else Status.HELD
    assert worker.ledger.status(job_id) is expected
    worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 1


@pytest.mark.parametrize("failure", [no_connection(), proxy_refused()], ids=["connection", "proxy"])
def test_a_write_that_never_left_costs_no_budget(worker: Worker, failure: Exception) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [failure]
    worker.attempt(worker.ledger.add_job())

    assert spent(worker.ledger, "dm") == 0


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
    worker: Worker, write: type[DirectMessage], status: Status
) -> None:
    class UploadAttempt(Attempt):
        _job_write = write()

    job_id = worker.ledger.add_job()
    with suppress(asyncio.CancelledError):
        worker.attempt(job_id, work=UploadAttempt)

    assert worker.ledger.status(job_id) is status
    assert (worker.gateway.sent, spent(worker.ledger, "dm")) == ([], 0)


def test_a_write_that_instagram_refused_costs_budget(worker: Worker) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [refusal("unauthorized")]
    worker.attempt(worker.ledger.add_job())

    assert spent(worker.ledger, "dm") == 1


@pytest.mark.parametrize(
    ("stage", "costs"), [("logins", 0), ("reads", 1)], ids=["login", "the read itself"]
)
def test_a_read_is_charged_once_it_is_sent(worker: Worker, stage: str, costs: int) -> None:
    job_id = worker.ledger.add_job(kind="lookup", text="")
    setattr(worker.gateway, stage, [lost_reply()])
    worker.attempt(job_id, work=LookupAttempt)

    assert worker.ledger.status(job_id) is Status.WAITING
    assert spent(worker.ledger, "lookup") == costs


def test_redis_errors_do_not_count_as_failed_attempts(worker: Worker) -> None:
    job_id = worker.ledger.add_job()
    worker.gateway.logins = [RedisConnectionError("lost")]
    with pytest.raises(RedisConnectionError):
        worker.attempt(job_id)

    # Nothing is recorded: the lease expires, and another attempt follows
    assert worker.ledger.status(job_id) is Status.RUNNING
    worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert worker.ledger.record(job_id).failed_attempts == 0


def test_a_shutdown_before_the_write_hands_the_job_back_uncharged(worker: Worker) -> None:
    job_id = worker.ledger.add_job()

    async def cancelled_login() -> None:
        raise asyncio.CancelledError

    worker.gateway.ensure_login = cancelled_login  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        worker.attempt(job_id)

    record = worker.ledger.record(job_id)
    assert (record.status, record.attempts, spent(worker.ledger, "dm")) == (Status.QUEUED, 0, 0)


def test_a_shutdown_during_the_write_leaves_it_to_be_verified(worker: Worker) -> None:
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


def test_a_dry_run_writes_nothing(worker: Worker) -> None:
    job_id = worker.ledger.add_job(dry_run=True)
    worker.attempt(job_id)

    assert worker.ledger.api_job(job_id)["result"] == {"dry_run": True}
    assert worker.gateway.sent == []


@pytest.mark.parametrize("name", ["dm_requests_disabled", "dm_not_everyone"])
def test_a_recipient_that_takes_no_messages_is_suppressed_for_the_account(
    worker: Worker, name: str
) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [refusal(name)]
    first, second = (worker.ledger.add_job(text=text) for text in ("one", "two"))
    worker.attempt(first)
    worker.attempt_later(second)

    assert worker.ledger.api_job(first)["error"]["code"] == REFUSALS[name].code
    assert worker.ledger.api_job(second)["error"]["code"] == "recipient_suppressed"
    assert len(worker.gateway.sent) == 1
