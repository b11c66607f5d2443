"""What a WebSocket may make the process keep: real sockets, a small application."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from deploy.local.wait import until
from service.http.connections import ConnectionLimits
from tests.support.bounded_server import BoundedServer, flood, run_bounded

#: A masked ping with an empty mask and 100 bytes.
PING = b"\x89\xe4\0\0\0\0" + bytes(100)


@pytest.fixture
def server() -> Iterator[BoundedServer]:
    """The server."""
    with run_bounded(ConnectionLimits(open=50)) as server:
        yield server


def upgrade(path: str) -> bytes:
    """A request for a WebSocket."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def test_frames_before_the_handshake_are_bounded(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(upgrade("/wait"))
        assert flood(connection, PING * 100, 10_000)


def test_pings_of_a_peer_that_reads_nothing_are_not_read(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.settimeout(1)
        connection.sendall(upgrade("/"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
        assert flood(connection, PING * 100, 10_000)
        connection.settimeout(10)

        # Then those that were read are answered as soon as the peer reads
        received = 0
        while received < 1_000_000:
            received += len(connection.recv(65_536))


def test_a_socket_counts_as_one_connection(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(upgrade("/"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
        assert (server.connections.open, server.connections.waiting) == (1, 0)
    until(lambda: server.connections.open == 0)


def test_an_upgrade_with_a_body_is_refused(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(upgrade("/")[:-2] + b"Content-Length: 5\r\n\r\nhello")
        assert connection.recv(12) == b"HTTP/1.1 400"
        connection.shutdown(socket.SHUT_WR)
