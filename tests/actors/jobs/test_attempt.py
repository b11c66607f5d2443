"""Attempts over a real store: what each end of a call leaves in the ledger and at Instagram."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.instagram.receipts import DmReceipt
from actors.jobs.attempt import perform
from actors.jobs.next_steps import VERIFY_AGAIN_MS, VERIFY_BACKOFF_SECONDS
from service.jobs.model import Status
from tests.support.ledger import DAY, HOUR, SECOND
from tests.support.runtime import make_runtime
from tests.support.scripted_gateway import (
    REFUSALS,
    NoAccounts,
    lost_reply,
    no_connection,
    refusal,
)
from tests.support.scripted_worker import ScriptedWorker


def test_a_write_that_succeeds_is_made_once(worker: ScriptedWorker) -> None:
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)

    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert worker.gateway.stored == worker.gateway.sent == [f"{job_id}:1"]
    assert worker.spent("dm") == 1


def test_a_lost_reply_is_settled_and_the_write_found_not_sent_again(worker: ScriptedWorker) -> None:
    job_id = worker.unconfirmed()
    worker.attempt_later(job_id)

    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 1


def test_an_unconfirmed_write_is_left_alone_until_it_has_settled(worker: ScriptedWorker) -> None:
    job_id = worker.unconfirmed()
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
    worker: ScriptedWorker, failure: Exception
) -> None:
    # Given a write that has arrived, and a verification that says nothing of it
    job_id = worker.unconfirmed()
    worker.gateway.searches = [failure]
    worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.SENDING

    # When the next verification can be made
    worker.ledger.run(worker.runtime.accounts.resume("shop"))
    worker.attempt_later(job_id)

    # Then it finds the write, which was sent once
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 1


def test_verifications_that_always_fail_end_uncertain_with_a_callback(
    worker: ScriptedWorker,
) -> None:
    job_id = worker.unconfirmed()
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
    worker: ScriptedWorker,
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
    # It was looked for twice after the first and the third, and once more before the third
    assert len(worker.gateway.ages_ms) == 2 + 3 + 2


def test_attempts_that_fail_before_the_write_take_none_of_its_resends(
    worker: ScriptedWorker,
) -> None:
    worker.gateway.logins = [no_connection() for _ in range(4)]
    worker.gateway.arrives = False
    worker.gateway.sends = [lost_reply()]
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)
    for _ in range(20):
        worker.attempt_later(job_id)

    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 2


def test_a_retry_by_a_person_counts_refusals_and_resends_anew(worker: ScriptedWorker) -> None:
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
    worker: ScriptedWorker, missing: str, sending: bool
) -> None:
    job_id = worker.unconfirmed() if sending else worker.ledger.add_job()

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


def test_a_dry_run_writes_nothing(worker: ScriptedWorker) -> None:
    job_id = worker.ledger.add_job(dry_run=True)
    worker.attempt(job_id)

    assert worker.ledger.api_job(job_id)["result"] == {"dry_run": True}
    assert worker.gateway.sent == []


@pytest.mark.parametrize("name", ["dm_requests_disabled", "dm_not_everyone"])
def test_a_recipient_that_takes_no_messages_is_suppressed_for_the_account(
    worker: ScriptedWorker, name: str
) -> None:
    worker.gateway.arrives = False
    worker.gateway.sends = [refusal(name)]
    first, second = (worker.ledger.add_job(text=text) for text in ("one", "two"))
    worker.attempt(first)
    worker.attempt_later(second)

    assert worker.ledger.api_job(first)["error"]["code"] == REFUSALS[name].code
    assert worker.ledger.api_job(second)["error"]["code"] == "recipient_suppressed"
    assert len(worker.gateway.sent) == 1


def test_a_job_without_a_callback_is_done_and_calls_nobody(worker: ScriptedWorker) -> None:
    job_id = worker.ledger.add_job(callback=None)
    worker.attempt(job_id)

    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert worker.ledger.deliveries_of(job_id) == []


def test_a_retry_by_a_person_looks_for_the_write_of_the_run_before_it(
    worker: ScriptedWorker,
) -> None:
    # Given a write that has arrived, and whose every verification failed
    job_id = worker.unconfirmed()
    worker.gateway.searches = [no_connection() for _ in range(len(VERIFY_BACKOFF_SECONDS) + 1)]
    while worker.gateway.searches:
        worker.attempt_later(job_id)
    assert worker.ledger.status(job_id) is Status.UNCERTAIN

    # When a person retries the job
    assert worker.ledger.run(worker.runtime.ledger.retry(job_id, "crm")) == "ok"
    worker.attempt(job_id)

    # Then it is found, and not sent again
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.gateway.sent) == 1


def test_a_search_knows_how_long_ago_the_write_was_intended(worker: ScriptedWorker) -> None:
    job_id = worker.unconfirmed()
    worker.attempt_later(job_id, HOUR)

    [age_ms] = worker.gateway.ages_ms
    assert HOUR <= age_ms < HOUR + 60 * SECOND


def test_a_message_without_a_token_is_the_write_of_one_job_only(worker: ScriptedWorker) -> None:
    # Given two unconfirmed writes, and searches that find the same message, as they may at one time
    first, second = worker.unconfirmed(text="one"), worker.unconfirmed(text="two")
    shown = DmReceipt("message", "thread", "", by_token=False)
    worker.gateway.finds = [shown, shown]
    worker.attempt_later(first)
    worker.attempt_later(second)

    # Then it ends the first, and the second is looked for again
    assert worker.ledger.status(first) is Status.SUCCEEDED
    record = worker.ledger.record(second)
    assert (record.status, record.not_found_count) == (Status.SENDING, 1)
    worker.attempt_later(second, VERIFY_AGAIN_MS)
    assert worker.ledger.status(second) is Status.SUCCEEDED
