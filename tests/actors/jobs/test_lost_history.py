"""Lost history, through the real client: no write is made twice, and none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from service.jobs.model import Status
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.backup import Backup
from tests.support.ledger import HOUR, SECOND, Event, draft

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

RECIPIENT: Final = "some.handle"


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
