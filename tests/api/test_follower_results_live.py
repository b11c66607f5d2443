"""Streaming rows: sent at once, until the export ends, and never buffered without limit."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from deploy.local.wait import until
from service.api.follower_results import iter_new_rows
from service.config.config import parse_config
from service.dependencies import AppServices, create_services
from service.jobs.model import Status
from tests.support.follower_rows import PAGE, claim_and_append, rows, started_export
from tests.support.ledger import LedgerHarness
from tests.support.web import API_KEY, CONFIG, SOURCE_SECRETS, WebHarness, web_settings


def following(web: WebHarness, job_id: str, **query: Any) -> Any:
    params = {"follow": "true", **query}
    return web.api.stream("GET", f"/jobs/{job_id}/result", params=params)


def some(lines: Iterator[str], count: int) -> list[Any]:
    """The next `count` rows of a stream, without heartbeats."""
    found: list[Any] = []
    while len(found) < count:
        line = next(lines)
        if line:
            found.append(json.loads(line))
    return found


def reading(store: redis.Redis) -> set[str]:
    """The ids of the connections that wait for a stream's next entry."""
    clients: list[dict[str, str]] = store.client_list()
    return {each["id"] for each in clients if each["cmd"] == "xread" and "b" in each["flags"]}


def test_rows_are_streamed_until_the_export_ends(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 2, expected=450)
    with following(web, job_id) as response:
        assert response.headers["Heliograph-Complete"] == "false"
        assert "Heliograph-Next-Cursor" not in response.headers
        assert response.headers["X-Accel-Buffering"] == "no"
        lines = response.iter_lines()
        assert some(lines, 400) == rows(0, 400)
        claim_and_append(ledger, job_id, rows(400, 420), "3")
        assert some(lines, 20) == rows(400, 420)
        claim_and_append(ledger, job_id, rows(420, 450))
        assert [json.loads(line) for line in lines] == rows(420, 450)


def test_rows_are_sent_soon_after_their_page(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    until(lambda: not reading(ledger.store))
    with following(web, job_id, cursor=200) as response:
        lines = response.iter_lines()
        until(lambda: reading(ledger.store))
        started = time.monotonic()
        for page in range(1, 6):
            claim_and_append(ledger, job_id, rows(page * PAGE, (page + 1) * PAGE), f"{page}")
            assert some(lines, PAGE) == rows(page * PAGE, (page + 1) * PAGE)
        # By notification, not by polling every two seconds
        assert time.monotonic() - started < 5 * 1.0


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED])
def test_a_failed_or_canceled_export_ends_the_stream(
    web: WebHarness, ledger: LedgerHarness, status: Status
) -> None:
    job_id = started_export(ledger, 1)
    with following(web, job_id) as response:
        lines = response.iter_lines()
        assert some(lines, 200) == rows(0, 200)
        if status is Status.FAILED:
            ledger.finish(ledger.claim(job_id), status)
        else:
            ledger.run(ledger.core.cancel(job_id, "test"))
        assert list(lines) == []


def test_the_rows_of_an_ended_export_are_streamed_once(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = started_export(ledger, 1)
    claim_and_append(ledger, job_id, rows(200, 230))
    with following(web, job_id, cursor=100) as response:
        assert [json.loads(line) for line in response.iter_lines()] == rows(100, 230)
    with following(web, job_id, cursor=230) as response:
        assert list(response.iter_lines()) == []


def test_a_limit_ends_the_stream_in_the_middle_of_a_page(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = started_export(ledger, 1)
    with following(web, job_id, cursor=150, limit=100) as response:
        lines = response.iter_lines()
        assert some(lines, 50) == rows(150, 200)
        claim_and_append(ledger, job_id, rows(200, 400), "2")
        assert [json.loads(line) for line in lines] == rows(200, 250)


def test_a_disconnected_client_resumes_after_its_last_row(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = started_export(ledger, 2)
    with following(web, job_id) as response:
        seen = some(response.iter_lines(), 321)
    claim_and_append(ledger, job_id, rows(400, 500))
    with following(web, job_id, cursor=len(seen)) as response:
        seen += [json.loads(line) for line in response.iter_lines()]
    assert seen == rows(0, 500)


@pytest.mark.parametrize("accept", ["text/csv", "application/json"])
def test_only_ndjson_can_be_followed(web: WebHarness, ledger: LedgerHarness, accept: str) -> None:
    response = web.api.get(
        f"/jobs/{started_export(ledger)}/result",
        params={"follow": "true"},
        headers={"Accept": accept},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (406, "not_acceptable")
    assert "application/x-ndjson" in response.json()["error"]["message"]


# -- cost


def test_a_client_that_disconnects_is_unsubscribed(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    # Given that the reader for an earlier test's subscribers has stopped
    until(lambda: not reading(ledger.store))
    for _ in range(3):
        with following(web, job_id) as response:
            some(response.iter_lines(), 1)
            until(lambda: reading(ledger.store))
    until(lambda: not reading(ledger.store))


def raw_request(web: WebHarness, path: str) -> socket.socket:
    """Send a request over a connection with a small buffer, and read nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", web.port))
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("follow", ["false", "true"])
def test_a_slow_client_delays_only_its_own_stream(
    web: WebHarness, ledger: LedgerHarness, follow: str
) -> None:
    # Given far more rows than the socket buffers hold
    job_id, count = started_export(ledger, expected=10**6), 100_000
    for page in range(10):
        part = rows(page * 10_000, (page + 1) * 10_000)
        assert claim_and_append(ledger, job_id, part, f"{page}", expected=10**6) == "more"

    def reads() -> int:
        return int(ledger.store.info("commandstats")["cmdstat_zrange"]["calls"])

    until(lambda: not reading(ledger.store))
    before, whole = reads(), count // PAGE // 4
    with raw_request(web, f"/jobs/{job_id}/result?follow={follow}") as connection:
        # When the client does not read
        until(lambda: reads() > before)
        calm = stands_still(reads)
        # Then they are not read from Redis either
        assert calm - before < whole * 0.8
        assert web.api.get("/healthz").status_code == 200
        # And when it reads, the rest is sent
        while reads() - before < whole:
            assert connection.recv(1 << 20)
    # And when it disconnects, it is unsubscribed
    until(lambda: not reading(ledger.store))


def stands_still(count: Any, seconds: float = 0.5) -> int:
    """The count once it has not changed for a while."""
    seen, since = count(), time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        if count() != seen:
            seen, since = count(), time.monotonic()
        return time.monotonic() - since > seconds

    until(still, 20)
    return int(seen)


# -- heartbeats, and shutdown


def with_web(url: str, directory: Path, steps: Any) -> Any:
    """Run steps with the services of a web process."""

    async def opened() -> Any:
        path = directory / "heliograph.toml"
        path.write_text(CONFIG)
        settings = web_settings(url, path)
        web = create_services(settings, parse_config(CONFIG), SOURCE_SECRETS)
        try:
            return await steps(web)
        finally:
            await web.close()

    return asyncio.run(opened())


async def soon(step: Coroutine[Any, Any, Any]) -> Any:
    """The result of a step, within seconds."""
    async with asyncio.timeout(10):
        return await step


def test_a_silent_export_sends_heartbeats(
    ledger: LedgerHarness, store_url: str, tmp_path: Path
) -> None:
    job_id = started_export(ledger, 1)

    async def steps(web: AppServices) -> list[int]:
        pages = iter_new_rows(web, job_id, 0, 10**6, heartbeat=0.05)
        found = [len(await soon(anext(pages))) for _ in range(4)]
        await pages.aclose()
        return found

    assert with_web(store_url, tmp_path, steps) == [200, 0, 0, 0]


def test_a_stopping_process_ends_its_streams(
    ledger: LedgerHarness, store_url: str, tmp_path: Path
) -> None:
    job_id = started_export(ledger, 1)

    async def steps(web: AppServices) -> list[int]:
        pages = iter_new_rows(web, job_id, 0, 10**6)
        found = [len(await soon(anext(pages)))]
        asyncio.get_running_loop().call_later(0.1, web.stopping.set)
        found += [len(some) async for some in pages]
        return found

    assert with_web(store_url, tmp_path, steps) == [200]


def test_an_export_that_is_pruned_during_the_stream_ends_it(
    ledger: LedgerHarness, store_url: str, tmp_path: Path
) -> None:
    job_id = started_export(ledger, 1)

    async def steps(web: AppServices) -> list[int]:
        pages = iter_new_rows(web, job_id, 0, 10**6)
        found = [len(await soon(anext(pages)))]
        ledger.store.delete(f"hg:job:{job_id}")
        return found + [len(some) async for some in pages]

    assert with_web(store_url, tmp_path, steps) == [200]


def test_a_waiting_stream_holds_no_redis_connection(web: WebHarness, ledger: LedgerHarness) -> None:
    # Given more followers of the stream than the process has Redis connections
    job_id = started_export(ledger, 1)
    with httpx.Client(base_url=web.api.base_url, headers=web.api.headers, timeout=15) as client:
        streams = []
        for _ in range(12):
            request = client.build_request("GET", f"/jobs/{job_id}/result?follow=true")
            streams.append(client.send(request, stream=True))
        # Then other requests are answered, and every stream receives the rows
        assert web.api.get(f"/jobs/{job_id}").status_code == 200
        claim_and_append(ledger, job_id, rows(200, 210))
        for stream in streams:
            assert len([line for line in stream.iter_lines() if line]) == 210
            stream.close()
