"""Hostile connections to a real web process, beside signed webhooks."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from deploy.local.wait import free_port, is_ready, until
from tests.support.encryption import SECRET_KEY
from tests.support.memory import peak_memory
from tests.support.processes import running
from tests.support.web import API_KEY, CONFIG, SOURCE_SECRETS, order
from tests.support.webhook_signatures import SECRETS, signed_headers

#: `make chaos` takes minutes.
SECONDS: Final = float(os.environ.get("CHAOS_HOSTILE_SECONDS", "1.5"))
PER_SECOND: Final = 200
#: So many that some can wait for a second, as the system does before it tries to connect again.
SENDERS: Final = 16
CONNECTIONS: Final = 400
MAX_GROWTH_MIB: Final = 50

#: From so long a run on, the slowest webhooks are compared.
LONG_SECONDS: Final = 60
MAX_P99_RATIO: Final = 3
AT_ONCE: Final = ("trailers", "half heads", "silent", "one byte after another")

HEAD: Final = b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
BODY: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"

Attack = Callable[[int, threading.Event], None]


def endless(start: bytes, piece: bytes) -> Attack:
    """Send a piece again and again, on a new connection when the server closes the last one."""

    def attack(port: int, over: threading.Event) -> None:
        while not over.is_set():
            with suppress(OSError), connect(port) as connection:
                connection.sendall(start)
                while not over.is_set():
                    connection.sendall(piece)

    return attack


def crowd(start: bytes) -> Attack:
    """Hold many connections that go no further, and open new ones for those that are closed."""

    def attack(port: int, over: threading.Event) -> None:
        with ExitStack() as stack:
            while not over.is_set():
                for _ in range(CONNECTIONS):
                    with suppress(OSError):
                        stack.enter_context(connect(port)).sendall(start)
                over.wait(1)

    return attack


def drip(port: int, over: threading.Event) -> None:
    """Send one byte after another on many connections."""
    with ExitStack() as stack:
        connections = []
        for _ in range(CONNECTIONS):
            with suppress(OSError):
                connections.append(stack.enter_context(connect(port)))
        while not over.wait(0.5):
            for connection in connections:
                with suppress(OSError):
                    connection.send(b"\r")


ATTACKS: Final[dict[str, Attack]] = {
    "trailers": endless(CHUNKED, b"a: b\r\n" * 10_000),
    "one trailer": endless(CHUNKED + b"a: ", b"b" * 60_000),
    "headers": endless(HEAD, b"a: b\r\n" * 10_000),
    "unread body": endless(BODY, bytes(60_000)),
    "pipelined": endless(b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1000),
    "half heads": crowd(HEAD + b"a: b\r\n" * 100),
    "silent": crowd(b""),
    "one byte after another": drip,
}


def connect(port: int) -> socket.socket:
    """A raw connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=2)


@pytest.fixture
def web(store_url: str, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A web process that may open 512 files: its port and its id."""
    (tmp_path / "heliograph.toml").write_text(CONFIG)
    port = free_port()
    environ = {
        "REDIS_URL": store_url,
        "HELIOGRAPH_CONFIG": str(tmp_path / "heliograph.toml"),
        "SECRET_KEY": SECRET_KEY,
        "API_KEYS": f"first:{API_KEY}",
        "PORT": str(port),
        "METRICS_SECONDS": "0.2",
        **SOURCE_SECRETS,
    }
    with running("web", environ, tmp_path / "log", open_files=512) as process:
        until(lambda: is_ready(f"http://127.0.0.1:{port}"))
        yield port, process.pid


def metrics(port: int) -> str:
    """The page of the process' metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


@contextmanager
def attacked(attack: Attack, port: int) -> Iterator[None]:
    """Attack until the end of the block."""
    over = threading.Event()
    thread = threading.Thread(target=attack, args=(port, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


class Deliveries(NamedTuple):
    """What became of signed webhooks: how many were refused, and how long each took (seconds)."""

    refused: int
    seconds: list[float]

    @property
    def p99(self) -> float:
        """The time within which 99 of 100 were answered."""
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


def deliver(
    port: int, seconds: float, per_second: float = PER_SECOND / 2, after: float = 0
) -> Deliveries:
    """Send signed webhooks, each on a new connection; after a slow one, the next come sooner.

    Parameters:
      after: Seconds to the first.
    """
    refused, times, due = 0, list[float](), time.monotonic() + after
    end = due + seconds
    while (started := wait_until(due)) < end:
        event_id = f"evt_{threading.get_ident()}_{time.monotonic_ns()}"
        refused += not accepted(port, order("stripe", event_id))
        times.append(time.monotonic() - started)
        due += 1 / per_second
    return Deliveries(refused, times)


def wait_until(due: float) -> float:
    """Wait for a moment of the monotonic clock, unless it is over; returns what it is then."""
    time.sleep(max(0.0, due - time.monotonic()))  # what a sender's rate is made of
    return time.monotonic()


def deliver_more(port: int, seconds: float) -> Deliveries:
    """The same from several senders at once, PER_SECOND in all."""
    each, gap = PER_SECOND / SENDERS, 1 / PER_SECOND
    with ThreadPoolExecutor(SENDERS) as threads:
        calls = [
            threads.submit(deliver, port, seconds, each, gap * number) for number in range(SENDERS)
        ]
        parts = [call.result() for call in calls]
    times = list(itertools.chain.from_iterable(part.seconds for part in parts))
    return Deliveries(sum(part.refused for part in parts), times)


def accepted(port: int, body: bytes) -> bool:
    """Whether a signed webhook is accepted.

    An HTTP client's own work would make the senders, which share a core with the server and the
    attackers, too slow.
    """
    headers = signed_headers("stripe", body, SECRETS["stripe"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{HEAD.decode()}{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        return connection.recv(4096).startswith(b"HTTP/1.1 202 ")
    return False


@pytest.mark.parametrize("name", ATTACKS)
def test_webhooks_are_accepted_while_connections_are_hostile(
    web: tuple[int, int], store: object, name: str
) -> None:
    port, process = web
    deliver(port, 0.3)
    with peak_memory(process) as memory:
        idle = memory.most
        with attacked(ATTACKS[name], port):
            refused = deliver(port, SECONDS).refused
    assert refused == 0
    assert memory.most - idle < MAX_GROWTH_MIB


def test_webhooks_are_accepted_while_all_attack_at_once(
    web: tuple[int, int], store: object
) -> None:
    port, process = web
    idle = deliver_more(port, min(SECONDS, 20))
    with peak_memory(process) as memory, ExitStack() as attacks:
        before = memory.most
        for name in AT_ONCE:
            attacks.enter_context(attacked(ATTACKS[name], port))
        busy = deliver_more(port, SECONDS)
    ratio = busy.p99 / idle.p99
    # For `make chaos`.
    rate = len(busy.seconds) / SECONDS
    sys.stdout.write(f"{rate:.0f} webhooks/s, p99 {busy.p99 * 1000:.1f} ms, {ratio:.2f} of idle\n")
    assert busy.refused == 0
    assert memory.most - before < MAX_GROWTH_MIB
    # A short run has too few webhooks for a p99, and may be one of many tests.
    assert SECONDS < LONG_SECONDS or (ratio < MAX_P99_RATIO and rate > 0.95 * PER_SECOND)


def test_a_crowd_is_logged_and_counted(web: tuple[int, int], store: object, tmp_path: Path) -> None:
    port, _ = web
    with attacked(ATTACKS["silent"], port):
        until(lambda: 'heliograph_connections_closed_total{reason="evicted"}' in metrics(port))
        until(lambda: "heliograph_connections 0.0" not in metrics(port))
        until(lambda: "connections near their limit" in (tmp_path / "log").read_text())
    log = (tmp_path / "log").read_text()
    assert log.count("connections closed early: too many keep the process waiting") == 1
    assert log.count("connections near their limit") == 1
    assert "heliograph_connections_limit 384.0" in metrics(port)


def test_a_refused_request_is_counted(web: tuple[int, int], store: object) -> None:
    port, _ = web
    with connect(port) as connection:
        connection.sendall(b"no request\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 400"
    until(lambda: 'heliograph_requests_refused_total{reason="bad_request"} 1.0' in metrics(port))
