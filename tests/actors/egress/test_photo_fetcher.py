"""The photos of jobs: stored ones, downloaded ones, and those that cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from actors.egress.photo_download import PhotoDownloader
from actors.egress.photo_loader import PhotoLoader
from actors.instagram.errors import ClassifiedError, Outcome
from service.jobs.photo_store import PhotoStore
from service.network.ip_filter import IpFilter, parse_cidrs
from service.photos.converter import PhotoConverter
from service.photos.photo import PhotoUrl
from tests.support.ledger import TIMES, LedgerHarness, draft, open_ledger
from tests.support.misbehaving_servers import Behaviour, MisbehavingServer, answers, serve
from tests.support.photos import opened, tagged_jpeg


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger


async def load(
    ledger: LedgerHarness, url: str, times: int = 1, program: str | None = None
) -> list[bytes]:
    """Load one job's photo so many times.

    Parameters:
      ledger: The ledger.
      url: The photo's; '' for one that was uploaded and is not stored any more.
      times: How often.
      program: The path of the converter's program, for one that differs.
    """
    converter = PhotoConverter() if program is None else PhotoConverter(program=program)
    downloader = PhotoDownloader(IpFilter(parse_cidrs("127.0.0.0/8")), version="1", allow_http=True)
    loader = PhotoLoader(PhotoStore(ledger.client, TIMES), downloader, converter)
    job = draft(rule=None, text="", photo=PhotoUrl(url))
    created = await ledger.core.create(job, caller="test", idempotency_key=None, request="r")
    claim = await ledger.claims.claim(created.job_id, "worker")
    assert claim is not None
    return [await loader.load(claim) for _ in range(times)]


async def load_from(
    ledger: LedgerHarness, behaviour: Behaviour, times: int = 1, program: str | None = None
) -> tuple[list[bytes], MisbehavingServer]:
    """Load one job's photo from such a server so many times."""
    async with serve(behaviour) as server:
        return await load(ledger, server.url(), times, program), server


def test_a_photo_is_downloaded_once_for_all_attempts(ledger: LedgerHarness) -> None:
    photos, server = ledger.run(load_from(ledger, answers(200, tagged_jpeg()), times=3))
    assert len(set(photos)) == 1
    assert opened(photos[0]).size == (200, 320)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("body", "code"), [(b"a text", "photo_not_an_image"), (tagged_jpeg()[:900], "photo_broken")]
)
def test_a_file_that_is_no_photo_ends_the_job(
    ledger: LedgerHarness, body: bytes, code: str
) -> None:
    with pytest.raises(ClassifiedError) as error:
        ledger.run(load_from(ledger, answers(200, body)))
    assert (error.value.policy.outcome, error.value.policy.code) == (Outcome.FINAL, code)


def test_a_worker_that_cannot_process_photos_retries_later(
    ledger: LedgerHarness, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit(3)")
    with pytest.raises(ClassifiedError) as error:
        ledger.run(load_from(ledger, answers(200, tagged_jpeg()), program=str(program)))
    rule = error.value.policy
    assert (rule.outcome, rule.code) == (Outcome.RETRY, "photo_processing_failed")


def test_an_uploaded_photo_that_is_no_longer_stored_ends_the_job(ledger: LedgerHarness) -> None:
    with pytest.raises(ClassifiedError) as error:
        ledger.run(load(ledger, ""))
    assert (error.value.policy.outcome, error.value.policy.code) == (Outcome.FINAL, "photo_gone")
