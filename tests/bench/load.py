"""A load generator that is lean enough to measure the server.

Requests are put together before the clock starts; then one thread writes and reads plain sockets,
without an event loop or a client library. `busy` tells how much of its core the generator took:
where that nears 1, it is the generator that was measured.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import selectors
import socket
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

#: How long to wait for the last responses.
PATIENCE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Load:
    """Signed webhooks, or GETs if there are no events.

    Parameters:
      url: The URL.
      events: The webhooks, one after the other and round again; each gets an id and a payment of
        its own.
      secret: The signing secret.
      count: The maximum number of requests.
      seconds: When to stop sending.
      connections: How many keep-alive connections, each with one request at a time.
      per_second: How many requests are due in a second, whether or not earlier ones were answered:
        one that finds no connection free waits, and its waiting counts. None for the next request
        as soon as one is answered.
    """

    url: str
    events: Sequence[Mapping[str, Any]] = ()
    secret: str = ""
    count: int = 1000
    seconds: float = 30.0
    connections: int = 32
    per_second: float | None = None


@dataclass(frozen=True)
class Timings:
    """What a load measured.

    Parameters:
      seconds: How long each answer took; what had none in the end, how long it had waited by then.
      statuses: The count of each HTTP status.
      unanswered: How many requests had no response.
      elapsed: From the first request to the last response, in seconds.
      busy: The share of that time in which the generator itself used its core.
    """

    seconds: list[float]
    statuses: dict[str, int]
    unanswered: int
    elapsed: float
    busy: float

    @property
    def rate(self) -> float:
        """Responses per second."""
        return (len(self.seconds) - self.unanswered) / self.elapsed

    def percentile(self, share: float) -> float:
        """The response time at this quantile, in ms."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def post_webhooks(
    url: str, secret: str, document: Mapping[str, Any], *, count: int, connections: int
) -> Timings:
    """Post events that differ in their id and payment, from this process.

    Parameters:
      url: The source's URL.
      secret: Its signing secret.
      document: What they have in common.
      count: How many.
      connections: Over how many connections at a time.
    """
    return run(Load(url, [document], secret, count=count, connections=connections))


def run(load: Load, wait: Callable[[], None] = lambda: None) -> Timings:
    """Run a load in this process.

    Parameters:
      load: The load.
      wait: Called when it is put together and connected; it begins when that returns.
    """
    requests = deque(_requests(load))
    parts = urlsplit(load.url)
    with selectors.DefaultSelector() as selector:
        free = deque(
            _Connection(str(parts.hostname), parts.port or 80, selector)
            for _ in range(load.connections)
        )
        try:
            wait()
            return _Course(load, requests, free, selector).play()
        finally:
            for key in [*selector.get_map().values()]:
                key.data.socket.close()


class _Connection:
    """One keep-alive connection with at most one request in progress."""

    def __init__(self, host: str, port: int, selector: selectors.BaseSelector) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(self.socket, selectors.EVENT_READ, self)
        self.began = 0.0
        self._answer = b""

    def ask(self, request: bytes, began: float) -> None:
        """Write a request, timed from `began` on."""
        self.began, self._answer = began, b""
        self.socket.sendall(request)

    def status(self) -> str | None:
        """Read; return the status once the response is complete."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server hung up")
        self._answer += part
        head, end, body = self._answer.partition(b"\r\n\r\n")
        return head[9:12].decode() if end and len(body) >= _length(head) else None


class _Course:
    """One running load."""

    def __init__(
        self,
        load: Load,
        requests: deque[bytes],
        free: deque[_Connection],
        selector: selectors.BaseSelector,
    ) -> None:
        self._requests = requests
        self._free = free
        self._connections = len(free)
        self._selector = selector
        self._pause = 1 / load.per_second if load.per_second else 0.0
        self._began = self._due = time.perf_counter()
        self._last = self._began + load.seconds
        self._seconds: list[float] = []
        self._statuses: Counter[str] = Counter()

    def play(self) -> Timings:
        """Send until there are no requests or no time left, then read the last responses."""
        worked, now = time.process_time(), self._began
        while now < self._last + PATIENCE_SECONDS and (self._asks_on(now) or self._under_way()):
            self._ask(now)
            for key, _ in self._selector.select(self._nap(now)):
                self._hear(key.data)
            now = time.perf_counter()
        elapsed, worked = now - self._began, time.process_time() - worked
        late = [*self._left(now)]
        statuses = dict(self._statuses)
        return Timings([*self._seconds, *late], statuses, len(late), elapsed, worked / elapsed)

    def _asks_on(self, now: float) -> bool:
        return bool(self._requests) and (self._due if self._pause else now) < self._last

    def _under_way(self) -> bool:
        return len(self._free) < self._connections

    def _ask(self, now: float) -> None:
        while self._free and self._asks_on(now) and (not self._pause or self._due <= now):
            self._free.popleft().ask(self._requests.popleft(), self._due if self._pause else now)
            self._due += self._pause

    def _nap(self, now: float) -> float:
        until_due = self._due - now if self._pause and self._free and self._asks_on(now) else 1.0
        return max(0.0, min(until_due, self._last + PATIENCE_SECONDS - now))

    def _hear(self, connection: _Connection) -> None:
        status = connection.status()
        if status is not None:
            self._statuses[status] += 1
            self._seconds.append(time.perf_counter() - connection.began)
            self._free.append(connection)

    def _left(self, now: float) -> Iterator[float]:
        """How long each due request without a response has waited."""
        idle = set(map(id, self._free))
        for key in self._selector.get_map().values():
            if id(key.data) not in idle:
                yield now - key.data.began
        while self._pause and self._asks_on(now):
            yield now - self._due
            self._due += self._pause
            self._requests.popleft()


def _length(head: bytes) -> int:
    after = head.lower().partition(b"content-length: ")[2]
    return int(after.partition(b"\r\n")[0])


def _requests(load: Load) -> Iterator[bytes]:
    parts = urlsplit(load.url)
    if not load.events:
        get = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        return itertools.repeat(get, load.count)
    events = itertools.islice(itertools.cycle(load.events), load.count)
    return (_webhook(parts.path, parts.netloc, event, load.secret) for event in events)


def encoded(event: Mapping[str, Any]) -> bytes:
    """An event's bytes, with a unique id and payment.

    Parameters:
      event: The event to copy.
    """
    mark = uuid.uuid4().hex
    thing = {**event["data"]["object"], "payment_intent": f"pi_{mark}"}
    return json.dumps({**event, "id": f"evt_{mark}", "data": {"object": thing}}).encode()


def _webhook(path: str, host: str, event: Mapping[str, Any], secret: str) -> bytes:
    body = encoded(event)
    now = str(int(time.time())).encode()
    mac = hmac.new(secret.encode(), now + b"." + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={now.decode()},v1={mac}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
