"""Subscribers of real web processes: switching between processes, and shutdown."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from deploy.local.wait import free_port, until
from service.live.event_stream import STREAM_KEY
from service.process.file_limits import MAX_OPEN_FILES, raise_file_limit
from tests.support.encryption import SECRET_KEY
from tests.support.event_streams import StreamEvent, WebSocket, subscribe
from tests.support.ledger import LedgerHarness, open_ledger
from tests.support.many_subscribers import (
    close_all,
    request,
    resident_bytes,
    subscribe_many,
    wait_for_word,
)
from tests.support.processes import running
from tests.support.web import API_KEY, CONFIG

JOB: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
BEARER = {"Authorization": f"Bearer {API_KEY}"}
SUBSCRIBERS = 300
#: For each subscriber; a thousand may take 60 MB.
MAX_BYTES = 60_000


class WebProcesses:
    """Web processes on one Redis.

    Parameters:
      url: The store.
      directory: Where the configuration and the logs go.
      stack: Ends them.
    """

    def __init__(self, url: str, directory: Path, stack: ExitStack) -> None:
        self._url = url
        self._directory = directory
        self._stack = stack
        (directory / "heliograph.toml").write_text(CONFIG)

    def start(self) -> tuple[Any, int, httpx.Client]:
        """Start one more; return the process, its port and a client."""
        port = free_port()
        log = self._directory / f"web-{port}.log"
        process = self._stack.enter_context(running("web", self._environ(port), log))
        api = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=BEARER, trust_env=False)
        self._stack.enter_context(api)
        until(lambda: _answers(api), 30)
        return process, port, api

    def logs(self) -> str:
        """The logs of all processes."""
        return "".join(log.read_text() for log in self._directory.glob("*.log"))

    def _environ(self, port: int) -> dict[str, str]:
        return {
            "REDIS_URL": self._url,
            "HELIOGRAPH_CONFIG": str(self._directory / "heliograph.toml"),
            "SECRET_KEY": SECRET_KEY,
            "API_KEYS": f"first:{API_KEY}",
            "PORT": str(port),
        }


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def web_processes(store_url: str, store: redis.Redis, tmp_path: Path) -> Iterator[WebProcesses]:
    """Web processes on an empty Redis."""
    with ExitStack() as stack:
        yield WebProcesses(store_url, tmp_path, stack)


@pytest.fixture
def ledger(web_processes: WebProcesses, store_url: str) -> Iterator[LedgerHarness]:
    """The ledger of their Redis."""
    with open_ledger(store_url) as ledger:
        yield ledger


def make(api: httpx.Client) -> str:
    job_id: str = api.post("/jobs", json=JOB).raise_for_status().json()["id"]
    return job_id


def test_a_subscriber_resumes_at_another_process(
    web_processes: WebProcesses, ledger: LedgerHarness
) -> None:
    # Given two processes
    first, _, one = web_processes.start()
    _, port, other = web_processes.start()
    job_id = make(one)
    path = f"/jobs/{job_id}/live"

    # When a subscriber loses its connection because the first is killed
    with subscribe(one, path) as stream:
        received = stream.take(1)
        claim = ledger.claim(job_id)
        received += stream.take(1)
        first.kill()
        ledger.record_intent(claim)
        with pytest.raises(httpx.TransportError):
            list(stream)

    # Then the second sends the rest, as events and over a socket
    with (
        subscribe(other, path, received[-1].id) as stream,
        WebSocket(port, f"{path}?after={received[-1].id}", BEARER) as wire,
    ):
        ledger.finish(claim)
        rest: list[StreamEvent] = list(stream)
        assert list(wire) == rest
    assert [each.id for each in received + rest] == ["1", "2", "3", "4"]


def _fill(store: redis.Redis) -> None:
    """Add more than a connection's buffers hold, but not enough to be disconnected."""
    fields: Any = {"at": "1", "n": "1", "to": "queued", "by": "x" * 65_536, "why": ""}
    for number in range(300):
        store.xadd(STREAM_KEY, {"job": f"job_{number}", **fields})


def test_subscribers_are_disconnected_when_the_process_stops(
    web_processes: WebProcesses, ledger: LedgerHarness
) -> None:
    # Given subscribers of every kind, and one that reads nothing
    process, port, api = web_processes.start()
    job_id = make(api)
    with (
        subscribe(api, f"/jobs/{job_id}/live") as one,
        subscribe(api, "/live") as everything,
        WebSocket(port, f"/jobs/{job_id}/live", BEARER) as wire,
        socket.create_connection(("127.0.0.1", port)) as silent,
    ):
        silent.sendall(request("/live", API_KEY))
        for subscriber in (one, everything, wire):
            subscriber.take(1)
        _fill(ledger.store)
        everything.take(300)

        # When the process is told to stop
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)

        # Then they are told to reconnect at different times, and it stops soon
        assert (list(one), list(everything), list(wire)) == ([], [], [])
        assert all(1000 <= each.retries[-1] <= 5000 for each in (one, everything))
        assert len(one.retries) == 2
        assert wire.code == 1012
        assert process.wait(5) in (0, -signal.SIGTERM, 143)
        assert time.monotonic() - started < 5
    assert "Traceback" not in web_processes.logs()


def test_no_log_line_names_subscribers(web_processes: WebProcesses, ledger: LedgerHarness) -> None:
    process, port, api = web_processes.start()
    job_id = make(api)
    with WebSocket(port, f"/jobs/{job_id}/live", BEARER) as wire:
        wire.take(1)
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert job_id not in web_processes.logs()
    assert "/live" not in web_processes.logs()


@pytest.mark.parametrize("upgraded", [False, True], ids=["events", "sockets"])
def test_many_subscribers_take_little_memory(
    web_processes: WebProcesses, ledger: LedgerHarness, upgraded: bool
) -> None:
    process, port, api = web_processes.start()
    head = request("/live", API_KEY, upgraded=upgraded)

    async def scene() -> float:
        kind = await subscribe_many(port, head, 20)
        before = resident_bytes(process.pid)
        kind += await subscribe_many(port, head, SUBSCRIBERS)
        job_id = await asyncio.to_thread(make, api)
        await wait_for_word(kind, job_id.encode())
        after = resident_bytes(process.pid)
        await close_all(kind)
        return (after - before) / SUBSCRIBERS

    assert asyncio.run(scene()) < MAX_BYTES


def test_a_web_process_raises_its_file_limit() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        raise_file_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert hard == before[1]
    assert soft == (MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES))
