"""Subscribers to jobs: independent readers of server-sent events and WebSockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import redis
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

#: A bound on the wait for anything that must arrive.
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class StreamEvent:
    """One event of a stream.

    Parameters:
      event: Its type.
      id: Its id, if any.
      data: Its payload.
    """

    event: str
    id: str | None
    data: dict[str, Any]


@dataclass
class EventReader:
    """Parses server-sent events line by line, as the standard requires.

    Parameters:
      lines: The stream's lines.
    """

    lines: Iterator[str]
    retries: list[int] = field(default_factory=list)
    comments: int = 0
    last_id: str | None = None

    def __iter__(self) -> Iterator[StreamEvent]:
        """All events to the end of the stream."""
        fields: dict[str, str] = {}
        for line in self.lines:
            name, _, value = line.partition(":")
            if line == "":
                if "data" in fields:
                    yield StreamEvent(fields["event"], fields.get("id"), json.loads(fields["data"]))
                fields = {}
            elif name == "":
                self.comments += 1
            elif name == "retry":
                self.retries.append(int(value))
            else:
                fields[name] = value.removeprefix(" ")
                self.last_id = fields.get("id", self.last_id)

    def take(self, count: int) -> list[StreamEvent]:
        """The next `count` events."""
        events = iter(self)
        return [next(events) for _ in range(count)]


@contextmanager
def subscribe(api: httpx.Client, path: str, last_id: str | None = None) -> Iterator[EventReader]:
    """Subscribe to a path until the end of the block.

    Parameters:
      api: A client with an API key.
      path: The stream's path.
      last_id: The id of the last event received before.
    """
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with api.stream("GET", path, headers=headers, timeout=TIMEOUT_SECONDS) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield EventReader(answer.iter_lines())


class WebSocketRejected(Exception):
    """A WebSocket was not accepted.

    Parameters:
      status: The HTTP status.
      body: The response's body.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body!r}")
        self.status = status
        self.body = body


class WebSocket:
    """A WebSocket client.

    Parameters:
      port: The server's port.
      path: The stream's path.
      headers: Headers of the opening request.
    """

    def __init__(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        #: The close code from the server.
        self.code: int | None = None
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._pending: list[Event] = []
        extra = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._send(Request(host="localhost", target=path, extra_headers=extra))
        try:
            self._open()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """The socket itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection without a close frame."""
        self._socket.close()

    def __iter__(self) -> Iterator[StreamEvent]:
        """All messages to the end."""
        text = ""
        while True:
            event = self._next()
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    yield StreamEvent(**json.loads(text))
                    text = ""
            elif isinstance(event, Ping):
                self._send(event.response())
            elif isinstance(event, CloseConnection):
                self.code = int(event.code)
                self._send(event.response())
                return

    def take(self, count: int) -> list[StreamEvent]:
        """The next `count` messages."""
        events = iter(self)
        return [next(events) for _ in range(count)]

    def send_text(self, text: str) -> None:
        """Send a text message."""
        self._send(TextMessage(data=text))

    def _open(self) -> None:
        event, body = self._next(), b""
        if isinstance(event, AcceptConnection):
            return
        assert isinstance(event, RejectConnection), event
        done = not event.has_body
        while not done:
            part = self._next()
            assert isinstance(part, RejectData)
            body, done = body + bytes(part.data), part.body_finished
        raise WebSocketRejected(event.status_code, body)

    def _send(self, event: Event) -> None:
        self._socket.sendall(self._ws.send(event))

    def _next(self) -> Event:
        while not self._pending:
            data = self._socket.recv(65536)
            self._ws.receive_data(data or None)
            self._pending += self._ws.events()
        return self._pending.pop(0)


def feed_readers(store: redis.Redis) -> int:
    """How many processes are blocked reading the feed."""
    database = str(store.get_connection_kwargs().get("db", 0))
    clients: Iterable[Mapping[str, str]] = store.client_list()
    return sum(each["cmd"] == "xread" and each["db"] == database for each in clients)
