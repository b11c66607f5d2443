"""What a connection may send, and how long it may take: real sockets, a small application."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from deploy.local.wait import until
from service.http.connections import ConnectionLimits, Phase
from service.http.http_protocol import MAX_PIPELINED, MAX_UNREAD_BYTES
from service.http.request_heads import MAX_HEAD_BYTES, MAX_HEADERS
from tests.support.bounded_server import BoundedServer, flood, run_bounded
from tests.support.web import read_response

SECONDS = 0.5
LIMITS = ConnectionLimits(
    open=50,
    seconds={
        Phase.HEAD: SECONDS,
        Phase.UNREAD: SECONDS,
        Phase.UNSENT: SECONDS,
        Phase.LINGERING: SECONDS,
        Phase.CLOSING: SECONDS,
    },
)
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[BoundedServer]:
    """One server for the tests of this file."""
    with run_bounded(LIMITS) as server:
        yield server


@pytest.fixture
def server(shared: BoundedServer) -> BoundedServer:
    """The server, with no connection of the test before."""
    until(lambda: shared.connections.open == 0)
    shared.counted.clear()
    return shared


def error_code(connection: socket.socket) -> tuple[int, str]:
    """The status and the code of an error, after which the stream ends."""
    status, headers, body = read_response(connection)
    assert headers["connection"] == "close"
    assert connection.recv(1) == b""
    return status, json.loads(body)["error"]["code"]


def closed(connection: socket.socket) -> bool:
    """Whether the server closes or resets the connection."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        pass
    return True


def drip(connection: socket.socket, data: bytes, size: int = 1) -> None:
    """Send in packets of that size."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(data), size):
        connection.sendall(data[start : start + size])


def test_trailers_are_not_headers(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(CHUNKED + b"0\r\nAuthorization: Bearer x\r\nExpect: y\r\n\r\n" + GET)
        assert read_response(connection)[2] == b"hello"
        assert dict(server.headers).get(b"authorization") is None
        assert read_response(connection)[0] == 200


@pytest.mark.parametrize("piece", [b"a: b\r\n" * 1000, b"x" * 8000, b";y=" + b"z" * 8000])
def test_endless_trailers_are_refused(server: BoundedServer, piece: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(CHUNKED + (b"5" if piece.startswith(b";") else b"0\r\nx: "))
        assert flood(connection, piece, 2000)
    until(lambda: server.counted["request_refused", "bad_request"] == 1)


def test_a_body_in_single_bytes_is_read(server: BoundedServer) -> None:
    with server.connect() as connection:
        head = CHUNKED.partition(b"5\r\n")[0]
        connection.sendall(head + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
        assert read_response(connection)[2] == b"x" * 50_000


@pytest.mark.parametrize("size", [1, 777, 10_000_000], ids=["drip", "packets", "at once"])
def test_a_head_that_is_too_large_is_refused_whatever_its_packets(
    server: BoundedServer, size: int
) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n"
    with server.connect() as connection:
        drip(connection, head[: -70_000 if size == 1 else None], 10_000)
        if size == 1:
            drip(connection, head[-70_000:], 500)
        assert error_code(connection) == (431, "head_too_large")


def test_many_small_headers_are_refused(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(GET[:-2] + b"a:b\r\n" * MAX_HEADERS + b"\r\n")
        assert error_code(connection) == (431, "head_too_large")


def test_line_breaks_between_requests_are_bounded(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(b"\r\n" + GET)
        assert read_response(connection)[0] == 200
        assert flood(connection, b"\r\n" * 4000, 2000)


def test_the_rest_of_a_body_that_nobody_reads_is_bounded_in_bytes(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"GET /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n"
        )
        assert read_response(connection)[0] == 200
        assert flood(connection, bytes(65_536), 4 * MAX_UNREAD_BYTES // 65_536)


def test_the_rest_of_a_body_that_nobody_reads_is_bounded_in_time(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert read_response(connection)[0] == 200
        assert closed(connection)
    assert server.counted["connection", "unread_body"] == 1


def test_pipelined_requests_are_bounded(server: BoundedServer) -> None:
    server.release.clear()
    with server.connect() as connection:
        # Given one that waits for its response, and many after it
        connection.sendall(GET.replace(b"/ ", b"/wait ", 1) + GET * 1000)
        until(lambda: server.counted["request_refused", "bad_request"] == 1)

        # Then those before the refusal get their responses, and nothing else is served
        server.release.set()
        for _ in range(MAX_PIPELINED + 1):
            assert read_response(connection)[0] == 200
        assert closed(connection)


def test_an_error_never_takes_the_place_of_an_earlier_response(server: BoundedServer) -> None:
    server.release.clear()
    with server.connect() as connection:
        connection.sendall(GET.replace(b"/ ", b"/wait ", 1) + b"no request\r\n\r\n")
        until(lambda: server.counted["request_refused", "bad_request"] == 1)
        server.release.set()
        assert read_response(connection)[0] == 200
        assert closed(connection)


def test_a_malformed_chunk_gets_an_error(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(CHUNKED + b"nonsense\r\n")
        assert error_code(connection) == (400, "bad_request")


def test_an_error_is_readable_though_more_bytes_are_on_their_way(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(b"no request\r\n\r\n")
        connection.sendall(bytes(100_000))
        assert error_code(connection) == (400, "bad_request")


@pytest.mark.parametrize("start", [b"", b"\r\n", b"G", GET[:-2]])
def test_a_head_that_does_not_arrive_in_time_ends_the_connection(
    server: BoundedServer, start: bytes
) -> None:
    with server.connect() as connection:
        connection.sendall(start)
        if start:
            assert error_code(connection) == (408, "slow_head")
        else:
            assert closed(connection)
    assert server.counted.total() >= 1


def test_one_byte_after_another_prolongs_nothing(server: BoundedServer) -> None:
    with server.connect() as connection:
        started = time.monotonic()
        while server.counted["connection", "slow_head"] == 0:
            drip(connection, b"\r\n")
            assert time.monotonic() - started < 20 * SECONDS
            time.sleep(SECONDS / 20)  # the gap between bytes, well within the time for a head


def test_the_time_for_a_head_starts_anew_after_a_response(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(GET + GET[:5])
        assert read_response(connection)[0] == 200
        assert error_code(connection) == (408, "slow_head")


def test_an_idle_connection_outlives_the_time_for_a_head(server: BoundedServer) -> None:
    with server.connect() as connection, server.connect() as silent:
        connection.sendall(GET)
        assert read_response(connection)[0] == 200
        assert closed(silent)
        connection.sendall(GET)
        assert read_response(connection)[0] == 200


def test_a_request_that_waits_for_its_response_has_time(server: BoundedServer) -> None:
    server.release.clear()
    with server.connect() as waiting, server.connect() as silent:
        waiting.sendall(GET.replace(b"/ ", b"/wait ", 1))
        assert closed(silent)
        server.release.set()
        assert read_response(waiting)[0] == 200


def test_a_peer_that_reads_nothing_is_disconnected(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(GET.replace(b"/ ", b"/large ", 1))
        until(lambda: server.counted["connection", "unread_response"] == 1)
    until(lambda: server.connections.open == 0)


def test_other_protocols_are_not_spoken(server: BoundedServer) -> None:
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with server.connect() as connection:
        # Given an offer that a server may ignore
        connection.sendall(GET[:-4] + upgrade + GET)
        assert read_response(connection)[0] == 200
        assert read_response(connection)[0] == 200

        # Then a body after it, which the parser would take for the other protocol, is refused
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5" + upgrade + b"hello")
        assert error_code(connection) == (400, "bad_request")
