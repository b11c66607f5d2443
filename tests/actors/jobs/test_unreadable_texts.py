"""A worker without the key of a text or photo: nothing is sent, and the job waits for the key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from actors.jobs.next_steps import TEXT_UNREADABLE, UNKNOWN_CONFIG_MS
from actors.jobs.photo_fetch import fetch_photo
from deploy.local.instagram.client import FakeInstagram
from service.encryption.cipher import Cipher
from service.jobs.claims import Claims
from service.jobs.model import Status
from service.jobs.photo_store import PhotoStore
from service.photos.photo import Photo, PhotoUrl
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.ledger import TIMES, draft
from tests.support.photos import tagged_jpeg

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

OTHER_KEY = Cipher.of("another secret key of thirty-two characters")
PHOTO = Photo(tagged_jpeg(), 200, 320, "ab" * 32)
KINDS = ("text", "photo")


@pytest.fixture
def worker(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str
) -> Iterator[AccountWorker]:
    with open_account_worker(store_url, fake_instagram) as worker:
        fake_instagram.add_user("some.handle")
        yield worker


@contextmanager
def without_key(worker: AccountWorker) -> Iterator[None]:
    """Give the worker another key than the web process has."""
    runtime, client = worker.runtime, worker.ledger.client
    worker.runtime = replace(
        runtime,
        claims=Claims(client, TIMES, OTHER_KEY),
        photos=PhotoStore(client, TIMES, OTHER_KEY),
    )
    yield
    worker.runtime = runtime


def add_job(worker: AccountWorker, kind: str) -> str:
    if kind == "text":
        return worker.ledger.add_job(account="shop")
    wanted = draft(rule=None, text="", photo=PHOTO, account="shop")
    step = worker.ledger.core.create(wanted, caller="t", idempotency_key=None, request="r")
    return worker.ledger.run(step).job_id


def sent(worker: AccountWorker) -> list[str]:
    """The calls by which something was written or uploaded."""
    calls = [entry["call"] for entry in worker.fake_instagram.log()]
    return [call for call in calls if "broadcast" in call or "upload" in call or "rupload" in call]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_sent_until_a_worker_has_the_key(worker: AccountWorker, kind: str) -> None:
    if kind == "photo":  # which only goes into a thread
        assert worker.attempt(worker.ledger.add_job()).status is Status.SUCCEEDED
    before = sent(worker)
    job_id = add_job(worker, kind)
    with without_key(worker):
        worker.attempt(job_id)
        job = worker.ledger.api_job(job_id)
        assert (job["status"], job["wait"]["reason"]) == ("held", TEXT_UNREADABLE)
        assert job["attempts"] == 0
        assert sent(worker) == before
        # The account goes on, and so does the job, as often as it takes
        assert worker.account()["hold"] is None
        worker.run_due(UNKNOWN_CONFIG_MS)
        assert worker.ledger.status(job_id) is Status.HELD
        assert sent(worker) == before
    worker.run_due(UNKNOWN_CONFIG_MS)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(sent(worker)) > len(before)


def test_an_unconfirmed_write_stays_so_without_the_key(worker: AccountWorker) -> None:
    job_id = worker.ledger.add_job()
    worker.fake_instagram.fault("broadcast_*", status_after_effect=502, body="<html>")
    assert worker.attempt(job_id).status is Status.SENDING
    with without_key(worker):
        worker.run_due(UNKNOWN_CONFIG_MS)
        assert worker.ledger.status(job_id) is Status.SENDING
    worker.run_due(UNKNOWN_CONFIG_MS)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert len(sent(worker)) == 1


def test_a_photo_is_not_fetched_from_an_unreadable_url(worker: AccountWorker) -> None:
    url = PhotoUrl("https://127.0.0.1:1/a.png")
    job_id = worker.ledger.add_job(text="", photo=url, rule=None)
    with without_key(worker):
        worker.ledger.run(fetch_photo(worker.runtime, job_id))
    job: Any = worker.ledger.api_job(job_id)
    assert (job["status"], job["wait"]["reason"]) == ("waiting", TEXT_UNREADABLE)
    claim = worker.ledger.claim_fetch(job_id)
    assert claim is None
    worker.ledger.pass_time(UNKNOWN_CONFIG_MS)
    worker.ledger.heartbeat()
    claim = worker.ledger.claim_fetch(job_id)
    assert claim is not None
    assert claim.text == url.url


@pytest.mark.parametrize("changes", [{}, {"kind": "comment", "to": None, "post": "3141592653"}])
def test_without_its_text_a_job_fails_and_nothing_is_sent(
    worker: AccountWorker, changes: dict[str, Any]
) -> None:
    job_id = worker.ledger.add_job(account="shop", **changes)
    # When a store that evicts keys has dropped it
    worker.ledger.store.delete(f"hg:jobtext:{job_id}")
    job = worker.attempt(job_id)
    assert (job.status, (job.error or {}).get("code")) == (Status.FAILED, "text_gone")
    assert sent(worker) == []
