"""Bodies that are too large, too slow or incomplete."""

from __future__ import annotations

import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.store import clear
from tests.support.web import MAX_BODY, WebHarness, order, read_response
from tests.support.webhook_signatures import SECRETS, signed_headers

HEAD = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNK = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"


@pytest.fixture(autouse=True)
def unchanged(web: WebHarness) -> Iterator[None]:
    """Nothing in this file leaves anything in Redis."""
    yield
    assert web.contents() == {}


def begin(web: WebHarness, *lines: str, path: str = "/webhooks/stripe") -> socket.socket:
    connection = web.connect()
    head = HEAD.format(path=path) + "".join(f"{line}\r\n" for line in lines)
    connection.sendall(f"{head}\r\n".encode())
    return connection


def assert_ended(connection: socket.socket) -> None:
    """The server has closed its side: what follows cannot be parsed as a request."""
    try:
        assert connection.recv(1) == b""
    except ConnectionResetError:
        return


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/jobs"])
def test_a_declared_length_above_the_limit_is_rejected_before_the_body_is_sent(
    web: WebHarness, path: str
) -> None:
    with begin(web, f"Content-Length: {10**9}", path=path) as connection:
        status, headers, body = read_response(connection)
        assert status == 413
        assert headers["connection"] == "close"
        assert b'"code":"body_too_large"' in body
        assert_ended(connection)


@pytest.mark.parametrize(("path", "bound"), [("/webhooks/stripe", MAX_BODY), ("/jobs", 256 * 1024)])
def test_a_chunked_body_above_the_limit_is_rejected_while_it_streams(
    web: WebHarness, path: str, bound: int
) -> None:
    # When more than the limit was sent, but not the end
    with begin(web, "Transfer-Encoding: chunked", path=path) as connection:
        for _ in range(bound // 0x1000 + 1):
            connection.sendall(CHUNK)
        status, headers, body = read_response(connection)

        # Then
        assert status == 413
        assert headers["connection"] == "close"
        assert b'"code":"body_too_large"' in body
        assert_ended(connection)


def test_a_body_of_exactly_the_limit_is_read(web: WebHarness) -> None:
    refused = web.http.post("/webhooks/stripe", content=b"x" * MAX_BODY)
    assert refused.status_code == 400
    assert web.http.post("/webhooks/stripe", content=b"x" * (MAX_BODY + 1)).status_code == 413


@pytest.mark.parametrize(("source", "status"), [("stripe", 413), ("nope", 404), ("unset", 503)])
def test_a_sender_that_reads_only_after_sending_gets_the_error(
    web: WebHarness, source: str, status: int
) -> None:
    # Closing with unread bytes would reset the connection: urllib shows it every time.
    request = urllib.request.Request(
        f"http://127.0.0.1:{web.port}/webhooks/{source}", data=b"x" * (8 * 1024 * 1024)
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)
    with refused.value as response:
        assert response.code == status


def test_a_sender_that_continues_after_the_error_still_reads_it(web: WebHarness) -> None:
    for _ in range(20):
        refused = web.http.post("/webhooks/stripe", content=iter([b"x" * 65536] * 64))
        assert refused.status_code == 413


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/jobs"])
@pytest.mark.parametrize("lines", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_slow_body_is_rejected_after_the_time_limit(
    web: WebHarness, path: str, lines: str
) -> None:
    started = time.monotonic()
    with begin(web, lines, path=path) as connection:
        connection.sendall(b"1\r\n")
        status, headers, body = read_response(connection)
        assert status == 408
        assert headers["connection"] == "close"
        assert b'"code":"slow_body"' in body
        assert_ended(connection)
    assert 0.3 < time.monotonic() - started < 3


def test_a_trickle_does_not_extend_the_time_limit(web: WebHarness) -> None:
    with begin(web, "Content-Length: 100") as connection:
        connection.settimeout(0.05)
        for _ in range(60):
            try:
                connection.sendall(b"x")
                connection.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                continue
        connection.settimeout(5)
        assert read_response(connection)[0] == 408


@pytest.mark.parametrize("reset", [False, True])
def test_a_sender_that_disconnects_halfway_leaves_no_trace(web: WebHarness, reset: bool) -> None:
    # Given a body of which a part would be an event with a valid signature
    body = order("stripe", "evt_incomplete")
    signed = signed_headers("stripe", body, SECRETS["stripe"])
    lines = [f"{name}: {value}" for name, value in signed.items()]
    connection = begin(web, *lines, f"Content-Length: {len(body) + 1}")
    connection.sendall(body)

    # When
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

    # Then only the next event is recorded
    web.deliver("stripe", order("stripe", "evt_next")).raise_for_status()
    assert [event["id"] for event in web.api.get("/events").json()["items"]] == ["evt_next"]
    clear(web.store)


def test_an_incomplete_request_has_no_effect(
    web: WebHarness,
) -> None:
    # Given an action that requires no body
    connection = begin(
        web,
        "Authorization: Bearer the-first-caller's-own-key",
        "Content-Length: 10",
        path="/accounts/shop/pause",
    )

    # When a part that would be valid is sent
    connection.sendall(b"{}")
    connection.shutdown(socket.SHUT_WR)
    with connection:
        assert_ended(connection)

    # Then
    assert web.api.get("/accounts/shop").json()["status"] == "active"
