"""Fetches of photos over a real store and real servers: what each end leaves in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis

from actors.egress.photo_download import PhotoDownloader
from actors.egress.photo_fetcher import MAX_PER_ORIGIN, PhotoFetcher
from actors.jobs.next_steps import BACKOFF_SECONDS
from actors.jobs.photo_fetch import (
    MAX_DEFERRAL_MS,
    MIN_DEFERRAL_MS,
    STORE_FULL_RETRY_MS,
    deferral_ms,
    fetch_photo,
)
from actors.runtime import Runtime
from deploy.local.wait import until
from service.jobs.model import Status
from service.network.ip_filter import IpFilter, parse_cidrs
from service.photos.converter import PhotoConverter
from service.photos.photo import PhotoUrl
from tests.support.invariants import audit
from tests.support.ledger import HOUR, SECOND, LedgerHarness, open_ledger
from tests.support.photo_host import DRIPPING, Answer, PhotoHost, photo_host
from tests.support.photos import opened, tagged_jpeg
from tests.support.runtime import endpoint, make_runtime


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger
        assert audit(ledger) == []


@pytest.fixture
def runtime(ledger: LedgerHarness) -> Iterator[Runtime]:
    """A worker that may fetch from loopback, and knows no account."""
    loopback = IpFilter(parse_cidrs("127.0.0.0/8"))
    downloader = PhotoDownloader(loopback, version="1", allow_http=True)
    fetcher = PhotoFetcher(downloader, PhotoConverter(), wait_seconds=0.05)
    made = make_runtime(ledger, endpoint("crm"), photo_fetcher=fetcher)
    yield made
    made.heartbeat.stop()


@pytest.fixture
def host() -> Iterator[PhotoHost]:
    """A server with a photo, a text, nothing, a failure, and an answer that never ends."""
    answers = {
        "/photo": Answer(tagged_jpeg()),
        "/text": Answer(b"Dear Sir or Madam"),
        "/failing": Answer(status=503),
        "/dripping": DRIPPING,
    }
    with photo_host(answers) as host:
        yield host


def add_photo(ledger: LedgerHarness, url: str, **changes: Any) -> str:
    """Create a job whose photo is to be fetched from there."""
    return ledger.add_job(photo=PhotoUrl(url), text="", **changes)


async def until_requested(host: PhotoHost, count: int) -> None:
    """Wait until a server has had so many requests."""
    await asyncio.to_thread(until, lambda: len(host.requested) >= count)


def test_a_photo_is_fetched_and_its_job_gets_the_turn(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost
) -> None:
    job_id = add_photo(ledger, host.url("/photo"))
    assert ledger.take_messages("photos") == [job_id]
    ledger.run(fetch_photo(runtime, job_id))
    assert (ledger.turn(), ledger.take_messages()) == (job_id, [job_id])
    claim = ledger.claim(job_id)
    jpeg = ledger.run(ledger.photos.load(claim))
    assert jpeg is not None
    assert opened(jpeg).size == (200, 320)
    # A wake-up that comes twice changes nothing
    ledger.run(fetch_photo(runtime, job_id))
    assert host.requested == ["/photo"]


@pytest.mark.parametrize(
    ("path", "code"), [("/text", "photo_not_an_image"), ("/nothing", "photo_url_refused")]
)
def test_a_photo_that_cannot_be_had_ends_its_job(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost, path: str, code: str
) -> None:
    job_id = add_photo(ledger, host.url(path))
    ledger.run(fetch_photo(runtime, job_id))
    job = ledger.api_job(job_id)
    assert (job["status"], job["error"]["code"], ledger.turn()) == ("failed", code, None)
    assert "running" not in ledger.statuses(job_id)


def test_a_failing_server_is_asked_six_times(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost
) -> None:
    job_id = add_photo(ledger, host.url("/failing"))
    for number in range(len(BACKOFF_SECONDS)):
        ledger.run(fetch_photo(runtime, job_id))
        job = ledger.api_job(job_id)
        assert (job["status"], job["attempts"]) == ("waiting", number + 1)
        assert job["wait"]["reason"] == "photo_url_failed"
        # Not before it is due
        ledger.run(fetch_photo(runtime, job_id))
        assert len(host.requested) == number + 1
        ledger.pass_time(HOUR)
        ledger.heartbeat()
    ledger.run(fetch_photo(runtime, job_id))
    job = ledger.api_job(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "photo_url_failed")
    assert job["error"]["retryable"]


def test_a_url_that_is_no_longer_stored_ends_its_job(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost
) -> None:
    job_id = add_photo(ledger, host.url("/photo"))
    ledger.store.set(f"hg:jobtext:{job_id}", "")
    ledger.run(fetch_photo(runtime, job_id))
    assert ledger.api_job(job_id)["error"]["code"] == "photo_gone"


@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_the_fetch_of_a_job_that_has_ended_is_broken_off(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost, end: str
) -> None:
    job_id = add_photo(ledger, host.url("/dripping"), expires_ms=1500 if end == "expired" else None)
    runtime.heartbeat.start()

    async def scenario() -> None:
        fetching = asyncio.create_task(fetch_photo(runtime, job_id))
        await until_requested(host, 1)
        if end == "canceled":
            assert await ledger.core.cancel(job_id, "api:test") == "ok"
        async with asyncio.timeout(10):
            with suppress(asyncio.CancelledError):
                await fetching
        assert fetching.cancelled()

    ledger.run(scenario())
    assert ledger.api_job(job_id)["status"] == end


def test_a_worker_that_stops_gives_the_photo_to_another(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost
) -> None:
    job_id = add_photo(ledger, host.url("/dripping"))
    ledger.take_messages("photos")

    async def scenario() -> None:
        fetching = asyncio.create_task(fetch_photo(runtime, job_id))
        await until_requested(host, 1)
        fetching.cancel()
        await asyncio.wait([fetching])

    ledger.run(scenario())
    job = ledger.api_job(job_id)
    assert (job["status"], job["wait"]["reason"], job["attempts"]) == ("waiting", "interrupted", 0)
    ledger.heartbeat()
    assert ledger.take_messages("photos") == [job_id]


@pytest.mark.parametrize("delay_ms", [0, HOUR], ids=["now", "scheduled"])
def test_photos_of_a_busy_origin_are_put_off_and_count_no_attempt(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost, delay_ms: int
) -> None:
    job_ids = [
        add_photo(ledger, host.url("/dripping"), account=f"account-{number}", delay_ms=delay_ms)
        for number in range(MAX_PER_ORIGIN + 1)
    ]
    ledger.pass_time(delay_ms)
    ledger.heartbeat()

    async def scenario() -> None:
        fetching = [asyncio.create_task(fetch_photo(runtime, job_id)) for job_id in job_ids[:-1]]
        await until_requested(host, MAX_PER_ORIGIN)
        await fetch_photo(runtime, job_ids[-1])
        for task in fetching:
            task.cancel()
        await asyncio.wait(fetching)

    ledger.run(scenario())
    job = ledger.record(job_ids[-1])
    assert (job.status, job.wait_reason, job.attempts) == (Status.WAITING, "photo", 0)
    assert job.wait_until_ms > 0
    assert len(host.requested) == MAX_PER_ORIGIN
    # That it still waits is no news
    assert ledger.statuses(job.id)[-2:] == ["queued", "waiting"]
    assert ledger.statuses(job.id).count("waiting") == 1
    # A wake-up before its time does not fetch it, and one at its time does
    assert ledger.claim_fetch(job.id) is None
    ledger.take_messages("photos")
    ledger.pass_time(2 * SECOND)
    ledger.heartbeat()
    assert job.id in ledger.take_messages("photos")
    assert ledger.api_job(job.id)["wait"] == {"reason": "photo", "until": None, "position": None}


def test_a_full_store_puts_a_photo_off_and_counts_no_attempt(
    ledger: LedgerHarness, runtime: Runtime, host: PhotoHost
) -> None:
    job_id = add_photo(ledger, host.url("/photo"))
    limit: Any = ledger.store.config_get("maxmemory")
    ledger.store.config_resetstat()
    host.answering.clear()

    async def scenario() -> None:
        fetching = asyncio.create_task(fetch_photo(runtime, job_id))
        await until_requested(host, 1)
        ledger.store.config_set("maxmemory", "1mb")
        host.answering.set()
        await fetching

    try:
        ledger.run(scenario())
    finally:
        ledger.store.config_set("maxmemory", limit["maxmemory"])
    job = ledger.api_job(job_id)
    assert (job["status"], job["wait"]["reason"], job["attempts"]) == ("waiting", "store_full", 0)
    # It was not tried again and again meanwhile
    refused: Any = ledger.store.info("errorstats")
    assert refused["errorstat_OOM"]["count"] == 1
    ledger.pass_time(STORE_FULL_RETRY_MS)
    ledger.heartbeat()
    ledger.run(fetch_photo(runtime, job_id))
    assert ledger.turn() == job_id


@pytest.mark.parametrize(
    ("waited_ms", "base_ms"),
    [(0, MIN_DEFERRAL_MS), (4_000, 1_000), (40_000, 10_000), (10**9, MAX_DEFERRAL_MS)],
)
def test_a_photo_is_put_off_for_a_share_of_its_wait(waited_ms: int, base_ms: int) -> None:
    assert deferral_ms(waited_ms, 0.0) == base_ms / 2
    assert deferral_ms(waited_ms, 0.5) == base_ms
    assert deferral_ms(waited_ms, 0.999) < base_ms * 1.5
