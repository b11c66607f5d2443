"""Where a worker's photos come from: what is kept, what is fetched, and what cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from actors.egress.photo_download import PhotoDownloader
from actors.egress.photo_loader import PhotoLoader
from actors.instagram.errors import ClassifiedError, Outcome
from service.jobs.claims import Claim
from service.jobs.photo_store import PhotoStore
from service.network.ip_filter import IpFilter, parse_cidrs
from service.photos.converter import PhotoConverter
from service.photos.photo import PhotoUrl
from tests.support.ledger import TIMES, LedgerHarness, draft, open_ledger
from tests.support.misbehaving_servers import Behaviour, Hostile, answers, serve
from tests.support.photos import opened, telling_jpeg


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger


def lab(ledger: LedgerHarness, darkroom: PhotoConverter) -> PhotoLoader:
    guard = IpFilter(parse_cidrs("127.0.0.0/8"))
    fetcher = PhotoDownloader(guard, version="1", allow_http=True)
    return PhotoLoader(PhotoStore(ledger.client, TIMES), fetcher, darkroom)


def claim_of(ledger: LedgerHarness, url: str) -> Claim:
    wanted = draft(rule=None, text="", photo=PhotoUrl(url))
    made = ledger.core.create(wanted, caller="test", idempotency_key=None, request="r")
    return ledger.claim(ledger.run(made).job_id)


async def asked_for(
    ledger: LedgerHarness, behaviour: Behaviour, times: int = 1, program: str | None = None
) -> tuple[list[bytes], Hostile]:
    """Ask for one job's photo so many times."""
    darkroom = PhotoConverter() if program is None else PhotoConverter(program=program)
    async with serve(behaviour) as server:
        wanted = draft(rule=None, text="", photo=PhotoUrl(server.url()))
        made = await ledger.core.create(wanted, caller="test", idempotency_key=None, request="r")
        claim = await ledger.claims.claim(made.job_id, "worker")
        assert claim is not None
        photos = [await lab(ledger, darkroom).load(claim) for _ in range(times)]
        return photos, server


def test_a_photo_is_fetched_once_for_all_attempts(ledger: LedgerHarness) -> None:
    photos, server = ledger.run(asked_for(ledger, answers(200, telling_jpeg()), times=3))
    assert len(set(photos)) == 1
    assert opened(photos[0]).size == (200, 320)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("body", "code"), [(b"a text", "photo_not_an_image"), (telling_jpeg()[:900], "photo_broken")]
)
def test_what_is_no_photo_ends_the_job(ledger: LedgerHarness, body: bytes, code: str) -> None:
    with pytest.raises(ClassifiedError) as judged:
        ledger.run(asked_for(ledger, answers(200, body)))
    assert (judged.value.policy.outcome, judged.value.policy.code) == (Outcome.FINAL, code)


def test_a_worker_that_cannot_look_at_photos_tries_again_later(
    ledger: LedgerHarness, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit(3)")
    with pytest.raises(ClassifiedError) as judged:
        ledger.run(asked_for(ledger, answers(200, telling_jpeg()), program=str(program)))
    rule = judged.value.policy
    assert (rule.outcome, rule.code) == (Outcome.RETRY, "photo_not_taken")


def test_an_uploaded_photo_that_is_gone_ends_the_job(ledger: LedgerHarness) -> None:
    claim = claim_of(ledger, "")
    with pytest.raises(ClassifiedError) as judged:
        ledger.run(lab(ledger, PhotoConverter()).load(claim))
    assert (judged.value.policy.outcome, judged.value.policy.code) == (Outcome.FINAL, "photo_gone")
