"""Photos by URL: fetched and converted, refused, or put off because too many are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.egress.origin_limiter import OriginBusy
from actors.egress.photo_download import PhotoDownloader
from actors.egress.photo_fetcher import MAX_CONCURRENT, MAX_PER_ORIGIN, PhotoFetcher
from actors.instagram.errors import ClassifiedError, Outcome
from deploy.local.wait import until
from service.network.ip_filter import IpFilter, parse_cidrs
from service.photos.converter import PhotoConverter
from service.photos.photo import Photo
from tests.support.misbehaving_servers import (
    Behaviour,
    MisbehavingServer,
    answers,
    hangs_in_the_body,
    serve,
)
from tests.support.photos import opened, tagged_jpeg


def make_fetcher(program: str | None = None, **options: Any) -> PhotoFetcher:
    """A fetcher that may fetch from loopback."""
    converter = PhotoConverter() if program is None else PhotoConverter(program=program)
    downloader = PhotoDownloader(IpFilter(parse_cidrs("127.0.0.0/8")), version="1", allow_http=True)
    return PhotoFetcher(downloader, converter, **options)


def fetch_from(behaviour: Behaviour, program: str | None = None) -> Photo:
    """Fetch one photo from such a server."""

    async def scenario() -> Photo:
        async with serve(behaviour) as server:
            return await make_fetcher(program).fetch(server.url())

    return asyncio.run(scenario())


def test_a_photo_is_fetched_and_converted() -> None:
    photo = fetch_from(answers(200, tagged_jpeg()))
    assert opened(photo.jpeg).size == (photo.width, photo.height) == (200, 320)


@pytest.mark.parametrize(
    ("body", "code"), [(b"a text", "photo_not_an_image"), (tagged_jpeg()[:900], "photo_broken")]
)
def test_a_file_that_is_no_photo_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ClassifiedError) as error:
        fetch_from(answers(200, body))
    assert (error.value.policy.outcome, error.value.policy.code) == (Outcome.FINAL, code)


def test_a_worker_that_cannot_process_photos_retries_later(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit(3)")
    with pytest.raises(ClassifiedError) as error:
        fetch_from(answers(200, tagged_jpeg()), program=str(program))
    rule = error.value.policy
    assert (rule.outcome, rule.code) == (Outcome.RETRY, "photo_processing_failed")


def test_a_url_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(ClassifiedError) as error:
        asyncio.run(make_fetcher().fetch("ftp://example.com/a"))
    assert error.value.policy.code == "photo_url_refused"


@asynccontextmanager
async def hanging(
    fetcher: PhotoFetcher, server: MisbehavingServer, count: int
) -> AsyncIterator[None]:
    """So many fetches from a server that never ends an answer."""
    before = server.connections
    tasks = [asyncio.create_task(fetcher.fetch(server.url())) for _ in range(count)]
    await asyncio.to_thread(until, lambda: server.connections >= before + count)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_hanging_origins_leave_slots_to_others() -> None:
    async def scenario() -> Photo:
        fetcher = make_fetcher(wait_seconds=0.05)
        async with (
            serve(hangs_in_the_body) as one,
            serve(hangs_in_the_body) as other,
            serve(answers(200, tagged_jpeg())) as decent,
            # Given two origins that use all their slots
            hanging(fetcher, one, MAX_PER_ORIGIN),
            hanging(fetcher, other, MAX_PER_ORIGIN),
        ):
            # Then they get no more, and another origin's photos come
            for server in (one, other):
                with pytest.raises(OriginBusy):
                    await fetcher.fetch(server.url())
                assert server.connections == MAX_PER_ORIGIN
            return await fetcher.fetch(decent.url())

    assert asyncio.run(scenario()).width == 200


def test_the_fetches_of_a_process_are_bounded_over_all_origins() -> None:
    async def scenario() -> None:
        fetcher = make_fetcher(wait_seconds=0.05)
        async with (
            serve(hangs_in_the_body) as one,
            serve(hangs_in_the_body) as two,
            serve(hangs_in_the_body) as three,
            serve(hangs_in_the_body) as four,
            serve(answers(200, tagged_jpeg())) as decent,
            # Given that all slots are in use
            hanging(fetcher, one, MAX_PER_ORIGIN),
            hanging(fetcher, two, MAX_PER_ORIGIN),
            hanging(fetcher, three, MAX_PER_ORIGIN),
        ):
            async with hanging(fetcher, four, MAX_CONCURRENT - 3 * MAX_PER_ORIGIN):
                # Then one more is put off, without a connection
                with pytest.raises(OriginBusy):
                    await fetcher.fetch(decent.url())
                assert decent.connections == 0
            # And once some are over, it comes
            assert await fetcher.fetch(decent.url())

    asyncio.run(scenario())
