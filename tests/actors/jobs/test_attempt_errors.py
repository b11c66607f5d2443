"""What each error leaves, by the step of the attempt at which it comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.instagram.request_deadline import seconds_until_deadline
from actors.lease_heartbeat import OVERDUE_SHARE
from service.jobs.model import Status
from tests.support.scripted_gateway import lost_reply, no_connection, proxy_refused, refusal
from tests.support.scripted_worker import ScriptedWorker

#: The list of the gateway that makes a step fail.
LISTS = {"login": "logins", "recipient": "reads", "thread": "reads", "write": "sends"}

#: Step and error; then status and code, DMs charged, DMs sent.
TABLE = [
    # Before the intent nothing is charged.
    ("login", no_connection, Status.WAITING, "connection_failed", 0, 0),
    ("login", proxy_refused, Status.HELD, "proxy_auth_required", 0, 0),
    ("login", "challenge_required", Status.HELD, "challenge_required", 0, 0),
    ("recipient", lost_reply, Status.WAITING, "timed_out", 0, 0),
    ("recipient", "unauthorized", Status.WAITING, "unauthorized", 0, 0),
    ("recipient", "throttled", Status.WAITING, "rate_limited", 0, 0),
    ("recipient", "user_not_found", Status.FAILED, "user_not_found", 0, 0),
    ("thread", lost_reply, Status.WAITING, "timed_out", 0, 0),
    ("thread", "challenge_required", Status.HELD, "challenge_required", 0, 0),
    # A write that never left costs nothing, one that was refused does.
    ("write", no_connection, Status.WAITING, "connection_failed", 0, 1),
    ("write", proxy_refused, Status.HELD, "proxy_auth_required", 0, 1),
    ("write", "unauthorized", Status.WAITING, "unauthorized", 1, 1),
    ("write", "unknown", Status.WAITING, "refused_unclear", 1, 1),
    ("write", "throttled", Status.WAITING, "rate_limited", 1, 1),
    ("write", "challenge_required", Status.HELD, "challenge_required", 1, 1),
    ("write", "user_not_found", Status.FAILED, "user_not_found", 1, 1),
    ("write", "dm_not_everyone", Status.FAILED, "messages_refused", 1, 1),
    # One whose reply is lost is unconfirmed.
    ("write", lost_reply, Status.SENDING, "", 1, 1),
]


@pytest.mark.parametrize(("step", "error", "status", "code", "charged", "sent"), TABLE)
def test_an_error_leaves_the_job_in_one_state_and_no_second_write_follows(
    worker: ScriptedWorker,
    step: str,
    error: str | Callable[[], Exception],
    status: Status,
    code: str,
    charged: int,
    sent: int,
) -> None:
    # Given an error at this step
    unconfirmed = error is lost_reply and step == "write"
    raised = refusal(error) if isinstance(error, str) else error()
    setattr(worker.gateway, LISTS[step], [raised])
    worker.gateway.arrives = unconfirmed
    # The pk of a recipient that was given needs no lookup, so that the thread's comes first
    job_id = worker.ledger.add_job(to="some.handle" if step != "thread" else "314159")

    # When an attempt is made
    worker.attempt(job_id)

    # Then it leaves this
    record = worker.ledger.record(job_id)
    told = (record.error or {}).get("code") or record.wait_reason
    assert (record.status, told) == (status, code)
    assert (worker.spent("dm"), len(worker.gateway.sent)) == (charged, sent)

    # And when the trouble is over, the recipient has the DM once, or the job has failed
    worker.gateway.arrives = True
    worker.ledger.run(worker.runtime.accounts.resume("shop"))
    for _ in range(3):
        worker.attempt_later(job_id)
    failed = status is Status.FAILED
    assert worker.ledger.status(job_id) is (Status.FAILED if failed else Status.SUCCEEDED)
    assert len(worker.gateway.stored) == (not failed)


def test_a_slow_reply_to_the_claim_leaves_less_time_for_calls(worker: ScriptedWorker) -> None:
    left: list[float] = []

    async def send() -> None:
        left.append(seconds_until_deadline())

    worker.gateway.during = send
    job_id = worker.ledger.add_job()
    # When the store replies to nothing for a while
    worker.ledger.store.client_pause(700)
    worker.attempt(job_id)

    # Then the lease counts from before the claim, and no call begins after its safe share
    lease_seconds = worker.ledger.script_config.lease / 1000
    assert left[0] < lease_seconds * OVERDUE_SHARE - 0.7
