"""Lost history, through the real client: no write is made twice, and none is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from service.jobs.model import Status
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.backup import Backup
from tests.support.ledger import HOUR, SECOND, TIMES, Event, draft

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

RECIPIENT: Final = "some.handle"
LOOKED_FIRST: Final = "history lost: looked for first"


@pytest.fixture
def worker(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str
) -> Iterator[AccountWorker]:
    """A worker whose account is logged in, over a complete history."""
    with open_account_worker(store_url, fake_instagram) as worker:
        for name in (RECIPIENT, "another"):
            fake_instagram.add_user(name)
        assert worker.attempt(worker.ledger.add_job(to="another")).status is Status.SUCCEEDED
        worker.ledger.heartbeat()
        yield worker


def lose(worker: AccountWorker, backup: Backup) -> None:
    """Lose what came after a backup, and do all that is due then."""
    backup.restore()
    worker.run_due()
    worker.run_due(HOUR)


def settle(worker: AccountWorker, backup: Backup) -> None:
    """Lose what came after a backup, and let no more time pass than until writes go on."""
    backup.restore()
    worker.run_due()
    worker.run_due(TIMES.lease + TIMES.settle)


def calls_of(worker: AccountWorker, *names: str) -> int:
    """How often Instagram was asked for any of these."""
    return sum(entry["call"] in names for entry in worker.fake_instagram.log())


def texts(worker: AccountWorker) -> list[str]:
    """The texts of all DMs, oldest first."""
    return [dm["text"] for dm in worker.fake_instagram.dms()]


def test_a_dm_of_the_lost_time_is_found_and_not_sent_again(worker: AccountWorker) -> None:
    # Given a scheduled DM, and a replica that has it
    job_id = worker.ledger.add_job(text="once", delay_ms=SECOND)
    worker.ledger.heartbeat()
    backup = Backup(worker.ledger.store)
    # When it is sent, and the replica is promoted without that
    worker.run_due(SECOND)
    assert texts(worker).count("once") == 1
    lose(worker, backup)
    # Then the job ends well, and the recipient has it once
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert texts(worker).count("once") == 1


def test_a_dm_that_was_not_sent_is_sent_after_one_lookup(worker: AccountWorker) -> None:
    job_id = worker.ledger.add_job(text="once", delay_ms=SECOND)
    worker.ledger.heartbeat()
    backup = Backup(worker.ledger.store)
    worker.ledger.heartbeat()
    before = calls_of(worker, "get_by_participants")
    lose(worker, backup)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert texts(worker).count("once") == 1
    statuses = worker.ledger.statuses(job_id)
    assert statuses.count("sending") == 2, "one lookup and one write"
    assert calls_of(worker, "get_by_participants") - before <= 2


def test_a_redelivered_event_of_the_lost_time_writes_nothing_again(worker: AccountWorker) -> None:
    backup = Backup(worker.ledger.store)
    job_id = worker.ledger.accept(Event("evt_1"), draft(text="once")).jobs[0]
    worker.run_due()
    assert texts(worker).count("once") == 1
    lose(worker, backup)
    assert worker.ledger.accept(Event("evt_1"), draft(text="once")).jobs == [job_id]
    worker.run_due()
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert texts(worker).count("once") == 1


def test_a_comment_of_the_lost_time_is_found_by_text_and_author(worker: AccountWorker) -> None:
    post = worker.fake_instagram.add_media("another", 3141592653589793)
    job_id = worker.ledger.add_job(
        kind="comment", to=None, post=post, text="Lovely!", delay_ms=SECOND
    )
    worker.ledger.heartbeat()
    backup = Backup(worker.ledger.store)
    worker.run_due(SECOND)
    lose(worker, backup)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(worker.fake_instagram.comments()) == 1


def test_a_recipient_that_does_not_exist_fails_the_job_at_once(worker: AccountWorker) -> None:
    backup = Backup(worker.ledger.store)
    worker.ledger.heartbeat()
    lose(worker, backup)
    job_id = worker.ledger.add_job(to="nobody.here")
    worker.run_due()
    assert worker.ledger.status(job_id) is Status.FAILED
    assert worker.ledger.api_job(job_id)["error"]["code"] == "user_not_found"


def test_a_lookup_that_fails_is_made_again_before_the_write(worker: AccountWorker) -> None:
    job_id = worker.ledger.add_job(text="once", delay_ms=SECOND)
    worker.ledger.heartbeat()
    backup = Backup(worker.ledger.store)
    worker.run_due(SECOND)
    worker.fake_instagram.fault("get_by_participants", status=500, times=1)
    lose(worker, backup)
    worker.run_due(HOUR)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert texts(worker).count("once") == 1


def _scheduled(worker: AccountWorker) -> str:
    return worker.ledger.add_job(text="once", delay_ms=SECOND)


def _retried(worker: AccountWorker) -> str:
    worker.fake_instagram.fault("broadcast_text", error="unauthorized")
    job = worker.attempt(worker.ledger.add_job(text="once"))
    assert job.status is Status.WAITING
    return job.id


def _held(worker: AccountWorker) -> str:
    job_id = worker.ledger.add_job(text="once")
    worker.ledger.run(worker.ledger.controls.pause("shop"))
    assert worker.attempt(job_id).status is Status.HELD
    return job_id


def _second_in_line(worker: AccountWorker) -> str:
    worker.ledger.add_job(text="first")
    return worker.ledger.add_job(text="once")


STANDING: Final = {
    "scheduled": _scheduled,
    "retried": _retried,
    "held": _held,
    "second in line": _second_in_line,
}


@pytest.mark.parametrize("stand", STANDING.values(), ids=STANDING)
def test_a_dm_is_not_sent_again_wherever_its_job_stood(
    worker: AccountWorker, stand: Callable[[AccountWorker], str]
) -> None:
    # Given a job that waits for something, and a replica that has it
    job_id = stand(worker)
    worker.ledger.heartbeat()
    backup = Backup(worker.ledger.store)
    # When its DM is sent, and the replica is promoted without that
    worker.resume()
    worker.run_due(HOUR)
    assert texts(worker).count("once") == 1
    backup.restore()
    worker.resume()
    worker.run_due()
    worker.run_due(HOUR)
    # Then the job ends well, and the recipient has it once
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert texts(worker).count("once") == 1
    assert LOOKED_FIRST in reasons(worker, job_id)


def _accepted(worker: AccountWorker, event: str, **changes: Any) -> str:
    return worker.ledger.accept(Event(event), draft(text="once", **changes)).jobs[0]


def _renamed_rule(worker: AccountWorker, attempt: int) -> str:
    return _accepted(worker, "evt_1", rule=f"rule-{attempt}")


def _once_per_key(worker: AccountWorker, attempt: int) -> str:
    return _accepted(worker, f"evt_{attempt}", once_key="order 7")


def _idempotency_key(worker: AccountWorker, _attempt: int) -> str:
    step = worker.ledger.core.create(
        draft(text="once", rule=None), caller="crm", idempotency_key="order-7", request="order 7"
    )
    return worker.ledger.run(step).job_id


AGAIN: Final = {
    "a renamed rule": _renamed_rule,
    "a once_per key": _once_per_key,
    "an Idempotency-Key": _idempotency_key,
}


@pytest.mark.parametrize("make", AGAIN.values(), ids=AGAIN)
def test_a_dm_that_is_asked_for_under_another_id_is_found_by_its_text(
    worker: AccountWorker, make: Callable[[AccountWorker, int], str]
) -> None:
    # Given a DM of which the promoted replica knows nothing at all
    backup = Backup(worker.ledger.store)
    first = make(worker, 1)
    worker.run_due()
    assert texts(worker).count("once") == 1
    settle(worker, backup)
    # When it is asked for again
    again = make(worker, 2)
    worker.run_due()
    # Then another job tells of the same DM
    assert again != first
    assert worker.ledger.status(again) is Status.SUCCEEDED
    assert texts(worker).count("once") == 1


def test_each_forgotten_dm_stands_for_one_job(worker: AccountWorker) -> None:
    backup = Backup(worker.ledger.store)
    _accepted(worker, "evt_1")
    worker.run_due()
    settle(worker, backup)
    # When two events ask for the same text, of which one was served
    jobs = [_accepted(worker, event, rule="renamed") for event in ("evt_1", "evt_2")]
    worker.run_due()
    assert {worker.ledger.status(job_id) for job_id in jobs} == {Status.SUCCEEDED}
    assert texts(worker).count("once") == 2


def test_the_dm_of_a_job_that_is_known_is_not_taken_for_anothers(worker: AccountWorker) -> None:
    # Given a DM that the replica knows, from shortly before the loss
    _accepted(worker, "evt_1")
    worker.run_due()
    worker.ledger.heartbeat()
    backup = Backup(worker.ledger.store)
    worker.ledger.heartbeat()
    settle(worker, backup)
    # When a new event asks for the same text
    job_id = _accepted(worker, "evt_2")
    worker.run_due()
    # Then it is sent
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert texts(worker).count("once") == 2


def test_a_dm_after_the_lost_time_is_not_taken_for_another(worker: AccountWorker) -> None:
    backup = Backup(worker.ledger.store)
    worker.ledger.heartbeat()
    settle(worker, backup)
    jobs = [_accepted(worker, f"evt_{number}") for number in range(3)]
    worker.run_due()
    assert {worker.ledger.status(job_id) for job_id in jobs} == {Status.SUCCEEDED}
    assert texts(worker).count("once") == 3


def reasons(worker: AccountWorker, job_id: str) -> list[str]:
    """Why each change of a job happened."""
    timeline = worker.ledger.run(worker.ledger.queries.timeline(job_id))
    return [entry["why"] for entry in timeline]
