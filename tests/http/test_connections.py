"""How many connections there may be, and which of them make room."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack

import pytest

from deploy.local.wait import until
from service.http.connections import ConnectionLimits, Phase, listen_backlog
from tests.support.bounded_server import BoundedServer, run_bounded
from tests.support.web import read_response

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
OPEN = 8


def answered(connection: socket.socket, request: bytes = GET) -> bool:
    """Whether a request on the connection is answered."""
    connection.sendall(request)
    return read_response(connection)[0] == 200


def opened(server: BoundedServer, stack: ExitStack, count: int) -> list[socket.socket]:
    """Open so many connections, and wait until the server has them all."""
    before = server.connections.open
    found = [stack.enter_context(server.connect()) for _ in range(count)]
    until(lambda: server.connections.open == before + count)
    return found


def ended(connection: socket.socket) -> bool:
    """Whether the server has closed the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("start", [b"", GET[:9]], ids=["silent", "half a head"])
def test_at_the_limit_whoever_has_waited_longest_makes_room(start: bytes) -> None:
    with run_bounded(ConnectionLimits(open=OPEN)) as server, ExitStack() as stack:
        hostile = opened(server, stack, OPEN)
        for connection in hostile:
            connection.sendall(start)
        for index in range(3 * OPEN):
            with server.connect() as connection:
                assert answered(connection), index
        assert ended(hostile[0])
        assert answered(hostile[-1], GET[len(start) :])


def test_an_idle_connection_is_closed_after_those_that_were_of_no_use() -> None:
    with run_bounded(ConnectionLimits(open=OPEN)) as server, ExitStack() as stack:
        idle = opened(server, stack, 1)[0]
        assert answered(idle)
        opened(server, stack, OPEN - 1)
        for _ in range(OPEN - 2):
            connection = stack.enter_context(server.connect())
            assert answered(connection)
        assert answered(idle)


def test_requests_in_work_are_never_closed(caplog: pytest.LogCaptureFixture) -> None:
    with run_bounded(ConnectionLimits(open=OPEN)) as server, ExitStack() as stack:
        # Given that all connections wait for their responses
        busy = opened(server, stack, OPEN)
        for connection in busy:
            connection.sendall(WAIT)
        until(lambda: server.connections.waiting == 0)

        # When there is one more
        with server.connect() as one_more:
            assert ended(one_more)

        # Then it is refused, and accepting goes on as soon as there is room
        assert server.counted["connection", "refused"] == 1
        server.release.set()
        assert all(read_response(connection)[0] == 200 for connection in busy)
        with server.connect() as connection:
            assert answered(connection)


def test_a_crowd_that_waits_is_thinned_below_the_limit() -> None:
    limits = ConnectionLimits(open=1000, waiting=20)
    with run_bounded(limits) as server, ExitStack() as stack:
        opened(server, stack, 60)
        until(lambda: server.connections.open == 20)
        assert server.counted["connection", "evicted"] == 40


@pytest.mark.parametrize(
    ("phase", "start"),
    [
        (Phase.HEAD, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"y" * 20_000),
        (
            Phase.BODY,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n" + bytes(20_000),
        ),
    ],
)
def test_what_is_held_of_unfinished_requests_is_bounded(phase: Phase, start: bytes) -> None:
    limits = ConnectionLimits(open=1000, held_bytes={phase: 100_000})
    with run_bounded(limits) as server, ExitStack() as stack:
        hostile = [stack.enter_context(server.connect()) for _ in range(12)]
        for connection in hostile:
            connection.sendall(start)
        until(lambda: server.counted["connection", "evicted"] >= 7)
        assert ended(hostile[0])
        with server.connect() as connection:
            assert answered(connection)


def test_a_process_without_file_descriptors_says_so_and_goes_on_afterwards() -> None:
    with run_bounded(ConnectionLimits(open=1000)) as server, ExitStack() as stack:
        # Given
        assert answered(stack.enter_context(server.connect()))
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
            until(lambda: server.counted["connection", "no_file_descriptor"])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

        # Then
        with server.connect() as connection:
            assert answered(connection)


@pytest.mark.parametrize("file_limit", [256, 1024, 20_000, 65_536])
def test_the_limit_leaves_room_for_a_backlog_and_for_other_files(file_limit: int) -> None:
    limits = ConnectionLimits.of(file_limit)
    assert file_limit // 2 < limits.open < file_limit - listen_backlog(file_limit) - 30
    assert limits.waiting < 65_536


def test_the_largest_bodies_fit_into_what_may_be_held() -> None:
    assert ConnectionLimits.of(1024, 64 * 1024 * 1024).held_bytes[Phase.BODY] == 512 * 1024 * 1024
