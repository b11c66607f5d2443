"""How many live subscribers one key may have; a place is free again however a client ends."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from deploy.local.wait import until
from tests.support.event_streams import WebSocket, WebSocketRejected, subscribe
from tests.support.web import API_KEY, OTHER_KEY, WebHarness, connect, run_web

PER_KEY = 2
BEARER = {"Authorization": f"Bearer {API_KEY}"}
OTHER = {"Authorization": f"Bearer {OTHER_KEY}"}

#: Opens a stream, says so, and waits to be killed.
CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(sys.argv[2].encode())
    while b"ready" not in connection.recv(65536):
        pass
    print("ready", flush=True)
    sys.stdin.read()
"""
HEAD = f"GET /live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n\r\n"


@pytest.fixture
def web(store: redis.Redis, store_url: str, tmp_path: Path) -> Iterator[WebHarness]:
    """A web process with a small bound."""
    with (
        run_web(store_url, tmp_path, SUBSCRIBERS_PER_KEY=str(PER_KEY)) as port,
        connect(port, store) as opened,
    ):
        yield opened


def socket_status(web: WebHarness, headers: dict[str, str]) -> int:
    """What a WebSocket is answered: 101, or the status of its rejection."""
    try:
        with WebSocket(web.port, "/live", headers):
            return 101
    except WebSocketRejected as rejected:
        return rejected.status


@contextmanager
def all_places_taken(web: WebHarness, path: str = "/live") -> Iterator[None]:
    """Subscribe as often as the first key may."""
    with ExitStack() as stack:
        # Kept: a reader that is collected closes its stream.
        readers = [stack.enter_context(subscribe(web.api, path)) for _ in range(PER_KEY)]
        for reader in readers:
            reader.take(1)
        yield


def test_a_key_with_all_its_subscribers_is_refused_another_with_the_bound(web: WebHarness) -> None:
    with subscribe(web.api, "/live") as stream, WebSocket(web.port, "/live", BEARER) as wire:
        stream.take(1)
        wire.take(1)
        for _ in range(3):
            refused = web.api.get("/live")
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "too_many_subscribers"
            assert f"has {PER_KEY} live subscribers" in refused.json()["error"]["message"]
            assert socket_status(web, BEARER) == 429
        assert socket_status(web, OTHER) == 101
    until(lambda: socket_status(web, BEARER) == 101)


def test_a_subscriber_of_one_job_counts_too(web: WebHarness) -> None:
    job = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
    path = f"/jobs/{web.api.post('/jobs', json=job).json()['id']}/live"
    with all_places_taken(web, path):
        assert web.api.get(path).status_code == 429
        assert web.api.get("/jobs/job_unknown/live").status_code == 404


def test_the_place_of_a_killed_client_is_free_again(web: WebHarness) -> None:
    arguments = [sys.executable, "-c", CLIENT, str(web.port), HEAD]
    clients = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(PER_KEY)
    ]
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        assert web.api.get("/live").status_code == 429
    finally:
        for client in clients:
            client.kill()
            client.communicate()
    until(lambda: socket_status(web, BEARER) == 101)
    with all_places_taken(web):
        assert socket_status(web, BEARER) == 429


def test_the_place_of_a_connection_that_is_reset_is_free_again(web: WebHarness) -> None:
    for _ in range(3 * PER_KEY):
        connection = socket.create_connection(("127.0.0.1", web.port), timeout=10)
        connection.sendall(HEAD.encode())
        received = b""
        while b"ready" not in received and b" 429 " not in received:
            received += connection.recv(65_536)
        # Closed with a reset, not in an orderly way.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()
        until(lambda: socket_status(web, BEARER) == 101)
    with all_places_taken(web):
        assert socket_status(web, BEARER) == 429
