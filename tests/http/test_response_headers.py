"""Every answer has the security headers, whoever wrote it: by what arrives on real sockets."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from typing import Any, cast

import pytest

from service.http.response_headers import HeadWriter, with_headers
from tests.support.event_streams import subscribe
from tests.support.web import API_KEY, WebHarness, order, web, web_port

__all__ = ["web", "web_port"]

POLICY = "default-src 'none'; frame-ancestors 'none'"
FIXED = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
ALL = {**FIXED, "cache-control": "no-store", "content-security-policy": POLICY}

BEARER = f"Authorization: Bearer {API_KEY}\r\n"
HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
)


def head_of(web: WebHarness, request: str) -> tuple[int, list[tuple[str, str]]]:
    """The status and the headers of what a raw request is answered."""
    with web.connect() as connection:
        connection.sendall(request.encode())
        return read_head(connection)


def read_head(connection: socket.socket) -> tuple[int, list[tuple[str, str]]]:
    """The status and the headers of the next response."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(1)
        assert received, head
        head += received
    status, *lines = head.decode().strip().split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return int(status.split()[1]), [(name.lower(), value) for name, _, value in pairs]


def assert_secure(headers: list[tuple[str, str]], expected: dict[str, str] = ALL) -> None:
    """Assert that each header is there once."""
    found = sorted((name, value) for name, value in headers if name in ALL)
    assert found == sorted(expected.items())
    assert "server" not in dict(headers)


ANSWERS = {
    "found": ("GET /healthz HTTP/1.1\r\nHost: x\r\n", 200),
    "without a body": ("HEAD /healthz HTTP/1.1\r\nHost: x\r\n", 200),
    "without a key": ("GET /jobs HTTP/1.1\r\nHost: x\r\n", 401),
    "with a key": (f"GET /jobs HTTP/1.1\r\nHost: x\r\n{BEARER}", 200),
    "no such path": ("GET /nowhere HTTP/1.1\r\nHost: x\r\n", 404),
    "no such method": ("DELETE /jobs HTTP/1.1\r\nHost: x\r\n", 405),
    "invalid": (f"GET /jobs?limit=x HTTP/1.1\r\nHost: x\r\n{BEARER}", 422),
    "an encoded slash": ("GET /jobs%2Fjob_x HTTP/1.1\r\nHost: x\r\n", 400),
    "metrics": ("GET /metrics HTTP/1.1\r\nHost: x\r\n", 200),
    "the schema": ("GET /openapi.json HTTP/1.1\r\nHost: x\r\n", 200),
    "an unknown source": ("POST /webhooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n", 404),
    "no signature": ("POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n", 400),
    "no HTTP": ("what is this?\r\n", 400),
    "two hosts": ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n", 400),
    "a large head": ("GET / HTTP/1.1\r\nHost: x\r\n" + "X-A: b\r\n" * 300, 431),
    "a body that is too large": (
        f"POST /jobs HTTP/1.1\r\nHost: x\r\n{BEARER}Content-Length: 9999999\r\n",
        413,
    ),
    "a socket": (f"GET /live HTTP/1.1\r\nHost: x\r\n{BEARER}{HANDSHAKE}", 101),
    "a socket without a key": (f"GET /live HTTP/1.1\r\nHost: x\r\n{HANDSHAKE}", 401),
    "a socket on no path": (f"GET /nowhere HTTP/1.1\r\nHost: x\r\n{BEARER}{HANDSHAKE}", 403),
    "a socket of another version": (
        f"GET /live HTTP/1.1\r\nHost: x\r\n{BEARER}{HANDSHAKE.replace('13', '12')}",
        426,
    ),
}


@pytest.mark.parametrize(("request_head", "status"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_has_the_headers_once(web: WebHarness, request_head: str, status: int) -> None:
    found, headers = head_of(web, f"{request_head}\r\n")
    assert found == status
    assert_secure(headers)


def test_a_webhooks_answer_has_them(web: WebHarness) -> None:
    response = web.deliver("stripe", order("stripe"))
    assert response.status_code == 202
    assert_secure([*response.headers.items()])


def test_each_of_pipelined_answers_has_them(web: WebHarness) -> None:
    with web.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        for _ in range(3):
            status, headers = read_head(connection)
            assert status == 200
            assert_secure(headers)
            size = int(dict(headers)["content-length"])
            while size:
                size -= len(connection.recv(size))


def test_continue_is_sent_as_it_is_and_the_answer_after_it_has_them(web: WebHarness) -> None:
    with web.connect() as connection:
        connection.sendall(
            b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert read_head(connection) == (100, [])
        connection.sendall(b"{}")
        status, headers = read_head(connection)
        assert status == 400
        assert_secure(headers)


def test_an_event_stream_has_them(web: WebHarness) -> None:
    status, headers = head_of(web, f"GET /live HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n")
    assert status == 200
    assert_secure(headers)
    with subscribe(web.api, "/live") as stream:
        assert stream.take(1)[0].event == "ready"


def test_a_lookups_own_cache_control_stays(web: WebHarness) -> None:
    status, headers = head_of(web, f"GET /users/nobody?wait=0 HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n")
    caching = [value for name, value in headers if name == "cache-control"]
    assert (status, len(caching)) == (202, 1)


def test_the_documentation_has_a_policy_of_its_own(web: WebHarness) -> None:
    page = web.http.get("/docs")
    policy = page.headers["content-security-policy"]
    assert_secure([*page.headers.multi_items()], {**ALL, "content-security-policy": policy})
    assert "frame-ancestors 'none'" in policy


class Recorder:
    """Records what is written; a transport, and what writes to one."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.transport: Any = self

    def write(self, data: bytes) -> None:
        self.written.append(data)


@pytest.mark.parametrize(
    ("head", "joins_body", "packets"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", True, 1),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", False, 2),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", True, 2),
    ],
    ids=["known length", "HEAD", "stream"],
)
def test_only_a_head_whose_body_follows_waits_for_it(
    head: bytes, joins_body: bool, packets: int
) -> None:
    peer = Recorder()
    writer = HeadWriter(peer, cast("asyncio.Transport", peer), joins_body=joins_body)
    peer.transport = writer
    writer.write(head)
    assert len(peer.written) == packets - 1
    peer.transport.write(b"{}")
    assert len(peer.written) == packets
    assert b"".join(peer.written) == with_headers(head) + b"{}"
    assert peer.transport is peer
