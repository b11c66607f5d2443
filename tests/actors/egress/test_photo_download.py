"""Photos by URL from misbehaving servers: bounded, guarded, each failure with its own code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.egress.photo_download import PhotoDownloader
from actors.instagram.errors import ClassifiedError, Outcome, classify
from service.network.ip_filter import IpFilter, parse_cidrs
from service.photos.photo import PhotoRefused
from service.photos.spooled_file import SpooledFile
from tests.support.certificate_authority import Authority
from tests.support.misbehaving_servers import (
    OK,
    Behaviour,
    MisbehavingServer,
    answers,
    gzip_bomb,
    hangs_before_headers,
    hangs_in_the_body,
    repeats,
    resets,
    resets_after_headers,
    sends,
    serve,
)

LOOPBACK = IpFilter(parse_cidrs("127.0.0.0/8"))


class ChangingResolver:
    """A resolver whose answers change from one lookup to the next; the last one stays."""

    def __init__(self, *found: Sequence[str]) -> None:
        self._found = list(found)
        self.calls = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.calls += 1
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


def code_of(error: ClassifiedError) -> str:
    """The code of an error, which never repeats the URL."""
    assert "a-secret" not in f"{error!r} {classify(error, writing=False)}"
    return error.policy.code


def download(
    behaviour: Behaviour, host: str = "127.0.0.1", ip_filter: IpFilter = LOOPBACK, **options: Any
) -> tuple[bytes | str, MisbehavingServer]:
    """Download from such a server: the bytes, or the code of the error."""

    async def scenario() -> tuple[bytes | str, MisbehavingServer]:
        downloader = PhotoDownloader(ip_filter, version="1.2.3", allow_http=True, **options)
        async with serve(behaviour) as server:
            with SpooledFile() as incoming:
                try:
                    await downloader.download(
                        server.url(host, "/photo?signature=a-secret"), incoming
                    )
                except PhotoRefused as refused:
                    return refused.code, server
                except ClassifiedError as error:
                    return code_of(error), server
                return incoming.file.read(), server

    return asyncio.run(scenario())


def test_a_photo_is_downloaded_whole() -> None:
    body = bytes(range(256)) * 4096
    found, server = download(answers(200, body))
    assert found == body
    (request,) = server.requests
    head = request.decode().lower().split("\r\n")
    assert head[0] == "get /photo?signature=a-secret http/1.1"
    assert "user-agent: heliograph/1.2.3" in head
    assert "accept-encoding: identity" in head


def test_a_photo_is_downloaded_over_verified_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def scenario(ca_bundle: str | None) -> bytes | str:
        downloader = PhotoDownloader(LOOPBACK, version="1", ca_bundle=ca_bundle)
        tls = authority.server_context("127.0.0.1")
        async with serve(answers(200, b"a photo"), tls=tls) as server:
            with SpooledFile() as incoming:
                try:
                    await downloader.download(server.url(), incoming)
                except ClassifiedError as error:
                    return error.policy.message
                return incoming.file.read()

    assert asyncio.run(scenario(str(authority.bundle))) == b"a photo"
    assert asyncio.run(scenario(None)) == "The photo could not be downloaded (tls_failed)."


def test_plain_http_must_be_allowed() -> None:
    downloader = PhotoDownloader(LOOPBACK, version="1")
    with SpooledFile() as incoming, pytest.raises(ClassifiedError) as error:
        asyncio.run(downloader.download("http://127.0.0.1/a", incoming))
    assert classify(error.value, writing=False).outcome is Outcome.FINAL


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "169.254.169.254"], ["::1"]])
def test_a_name_with_an_internal_address_is_not_dialled(addresses: list[str]) -> None:
    found, server = download(
        answers(200, b"x"), "photos.example", resolver=ChangingResolver(addresses)
    )
    assert (found, server.connections) == ("photo_url_blocked", 0)


def test_a_name_whose_address_changes_is_resolved_once() -> None:
    resolver = ChangingResolver(["127.0.0.1"], ["169.254.169.254"])
    found, _ = download(answers(200, b"a photo"), "photos.example", resolver=resolver)
    assert (found, resolver.calls) == (b"a photo", 1)


def test_internal_addresses_are_blocked_by_default() -> None:
    found, server = download(answers(200, b"x"), ip_filter=IpFilter())
    assert (found, server.connections) == ("photo_url_blocked", 0)


FAILURES = {
    "not found": (answers(404), "photo_url_refused"),
    "forbidden": (answers(403), "photo_url_refused"),
    "no content": (sends(b"HTTP/1.1 204 No Content\r\n\r\n"), "photo_url_refused"),
    "partial content": (answers(206, b"x"), "photo_url_refused"),
    "a redirect": (answers(302, location="http://127.0.0.1/"), "photo_url_refused"),
    "gzip": (gzip_bomb(), "photo_url_refused"),
    "an endless body": (repeats(OK + b"\r\n", bytes(65536)), "photo_too_large"),
    "too many": (answers(429), "photo_url_failed"),
    "broken": (answers(500), "photo_url_failed"),
    "not http": (sends(b"what?\r\n\r\n"), "photo_url_failed"),
    "silence": (hangs_before_headers, "photo_url_failed"),
    "silence in the body": (hangs_in_the_body, "photo_url_failed"),
    "a drip": (repeats(OK + b"\r\n", b"x", pause_seconds=0.01), "photo_url_failed"),
    "a reset": (resets, "photo_url_failed"),
    "a reset in the body": (resets_after_headers, "photo_url_failed"),
    "a cut body": (sends(OK + b"content-length: 9\r\n\r\nx"), "photo_url_failed"),
    "endless headers": (repeats(OK, b"x: y\r\n"), "photo_url_failed"),
    "endless 1xx": (repeats(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "photo_url_failed"),
}


@pytest.mark.parametrize(("behaviour", "code"), FAILURES.values(), ids=FAILURES.keys())
def test_whatever_a_server_does_is_bounded_and_has_a_code(behaviour: Behaviour, code: str) -> None:
    started = time.monotonic()
    # A limit in time is used up; a limit in bytes takes time to reach
    seconds = 20 if code == "photo_too_large" else 1.5
    found, _ = download(behaviour, total_seconds=seconds)
    assert found == code
    assert time.monotonic() - started < seconds + 2.5


def test_only_temporary_failures_are_retried() -> None:
    async def outcome(behaviour: Behaviour) -> Outcome:
        downloader = PhotoDownloader(LOOPBACK, version="1", allow_http=True)
        async with serve(behaviour) as server:
            with SpooledFile() as incoming, pytest.raises(ClassifiedError) as error:
                await downloader.download(server.url(), incoming)
        return classify(error.value, writing=False).outcome

    found = [asyncio.run(outcome(answers(status))) for status in (404, 302, 503, 429)]
    assert found == [Outcome.FINAL, Outcome.FINAL, Outcome.RETRY, Outcome.RETRY]
