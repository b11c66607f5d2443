"""The open connections of a web process: how many, and how long each may keep it waiting.

Whoever can reach the port can open connections, so those that keep the process waiting are closed
when others need their place: the one that has kept it waiting for longest goes first, before the
process runs out of memory or of file descriptors. Without that, libuv closes new connections unseen
(`uv__emfile_trick`), and with them the senders' webhooks.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final, Protocol

from service.logging.setup import get_logger
from service.process.file_limits import open_file_limit

_TICK_SECONDS: Final = 0.25
#: A connection that has just been accepted has not been read yet.
_GRACE_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 60.0
#: Part of the limit at which the log warns.
_NEARLY_FULL: Final = 0.8
#: Connections that are closed when no file can be opened.
_FREED_AT_ONCE: Final = 64
_MAX_BACKLOG: Final = 2048
_FILE_TABLE_FULL: Final = (errno.EMFILE, errno.ENFILE)

#: The key of the process' `Connections` in the lifespan's state.
CONNECTIONS: Final = "connections"

_log = get_logger(__name__)


class Phase(StrEnum):
    """What the process waits for; a connection that it works for has no phase."""

    HEAD = "head"  # the first byte of a request, or the rest of its headers
    BODY = "body"  # the rest of a body that the application reads
    UNREAD = "unread"  # the rest of a body that nobody reads, after its response
    UNSENT = "unsent"  # that the peer reads its response
    LINGERING = "lingering"  # that the peer closes, after a refusal
    CLOSING = "closing"  # that the peer takes the end of the last response
    IDLE = "idle"  # another request

    # Every request changes its phase twice, and Enum hashes in Python.
    __hash__ = str.__hash__


#: Who is closed first when there are too many: an idle connection has been of use.
_EVICTION_ORDER: Final = (
    Phase.HEAD,
    Phase.UNREAD,
    Phase.LINGERING,
    Phase.CLOSING,
    Phase.UNSENT,
    Phase.BODY,
    Phase.IDLE,
)
_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of one process.

    Parameters:
      open: Connections; the rest of the file descriptors is for files and Redis.
      waiting: Connections in any phase; a silent one takes 8 KB.
      seconds: How long a connection may stay in a phase. The application limits the time of a body,
        and uvicorn's `timeout_keep_alive` that of an idle connection.
      held_bytes: What the unfinished requests of all connections of a phase may take.
    """

    open: int
    waiting: int = 2048
    seconds: Mapping[Phase, float] = field(
        default_factory=lambda: {
            Phase.HEAD: 10.0,
            Phase.UNREAD: 10.0,
            Phase.UNSENT: 60.0,
            Phase.LINGERING: 1.0,
            Phase.CLOSING: 10.0,
        }
    )
    held_bytes: Mapping[Phase, int] = field(
        default_factory=lambda: {Phase.HEAD: 8 * _MIB, Phase.BODY: 64 * _MIB}
    )

    @classmethod
    def of(cls, file_limit: int, max_body_bytes: int = _MIB) -> ConnectionLimits:
        """The limits of a process.

        Parameters:
          file_limit: Open files that the system allows it.
          max_body_bytes: The largest body that it accepts.
        """
        bodies = max(64 * _MIB, 8 * max_body_bytes)
        # A whole backlog may be accepted before the first of it is closed.
        return cls(
            open=file_limit - 2 * listen_backlog(file_limit),
            held_bytes={Phase.HEAD: 8 * _MIB, Phase.BODY: bodies},
        )


def listen_backlog(file_limit: int) -> int:
    """How many connections may wait to be accepted.

    Parameters:
      file_limit: Open files that the system allows the process.
    """
    return max(1, min(_MAX_BACKLOG, file_limit // 8))


class Connection(Protocol):
    """A protocol instance.

    Parameters:
      phase: Set by `Connections.move`.
      held: Bytes of an unfinished request; set by `Connections`.
    """

    phase: Phase | None
    held: int

    def expire(self) -> str:
        """Close the connection, whose time in its phase is over; return the reason to count."""

    def abort(self) -> None:
        """Close the connection at once."""


class Connections:
    """All connections of a process; every limit holds over all of them.

    Parameters:
      limits: The limits.
      count: Counts what happened: the counter's name, then a label value.
    """

    def __init__(
        self, limits: ConnectionLimits, count: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        self.limits = limits
        self.count = count
        self._open: set[Connection] = set()
        # By phase, oldest first: when the connection entered it (seconds of the loop's clock).
        self._waiting: dict[Phase, dict[Connection, float]] = {phase: {} for phase in Phase}
        self._held: Counter[Phase] = Counter()
        self._logged_at: dict[str, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def open(self) -> int:
        """The number of open connections."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """The number of connections that keep the process waiting."""
        return sum(map(len, self._waiting.values()))

    def add(self, connection: Connection) -> None:
        """Add a new connection; at the limit the one that has waited for longest is closed."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.call_later(_TICK_SECONDS, self._tick)
        if len(self._open) >= self.limits.open and not self._evict():
            connection.abort()
            self.count("connection", "refused")
            self._log_once("new connections are refused: all are in use")
        else:
            self._open.add(connection)

    def remove(self, connection: Connection) -> None:
        """Remove a connection that is closed; does nothing if it was removed before."""
        self.move(connection, None)
        self._open.discard(connection)

    def move(self, connection: Connection, phase: Phase | None) -> None:
        """Note that a connection enters another phase."""
        if connection not in self._open:
            return
        if connection.phase is not None:
            del self._waiting[connection.phase][connection]
            self._held[connection.phase] -= connection.held
        connection.phase, connection.held = phase, 0
        if phase is not None:
            self._waiting[phase][connection] = self._now()

    def hold(self, connection: Connection, size: int) -> None:
        """Note that the unfinished request of a connection takes more memory.

        Parameters:
          connection: In a phase.
          size: How much more, in bytes.
        """
        phase = connection.phase
        if phase is None or connection not in self._open:
            return
        connection.held += size
        self._held[phase] += size
        limit = self.limits.held_bytes.get(phase)
        while limit is not None and self._held[phase] > limit:
            self._close(next(iter(self._waiting[phase])))

    def _tick(self) -> None:
        now = self._now()
        for phase, seconds in self.limits.seconds.items():
            for connection in self._older_than(phase, now - seconds):
                self.count("connection", connection.expire())
        self._evict_crowd(now)
        if len(self._open) >= _NEARLY_FULL * self.limits.open:
            self._log_once("connections near their limit")
        self._check_file_table()
        assert self._loop is not None  # noqa: S101 - set before the first tick
        self._loop.call_later(_TICK_SECONDS, self._tick)

    def _evict_crowd(self, now: float) -> None:
        excess = self.waiting - self.limits.waiting
        for phase in _EVICTION_ORDER:
            for connection in self._older_than(phase, now - _GRACE_SECONDS)[: max(0, excess)]:
                self._close(connection)
                excess -= 1

    def _check_file_table(self) -> None:
        """Say that no file can be opened: nobody else notices the connections that are lost."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno not in _FILE_TABLE_FULL:
                raise
            self.count("connection", "no_file_descriptor")
            self._log_once("no file descriptor left: new connections are lost")
            for _ in range(_FREED_AT_ONCE):
                self._evict()

    def _older_than(self, phase: Phase, moment: float) -> list[Connection]:
        entries = takewhile(lambda entry: entry[1] <= moment, self._waiting[phase].items())
        return [connection for connection, _ in entries]

    def _evict(self) -> bool:
        """Close the connection that has waited for longest; return whether there was one."""
        oldest = next(
            (next(iter(self._waiting[p])) for p in _EVICTION_ORDER if self._waiting[p]), None
        )
        if oldest is None:
            return False
        self._close(oldest)
        return True

    def _close(self, connection: Connection) -> None:
        self.remove(connection)
        connection.abort()
        self.count("connection", "evicted")
        self._log_once("connections closed early: too many keep the process waiting")

    def _log_once(self, message: str) -> None:
        now = self._now()
        if now - self._logged_at.get(message, -_LOG_SECONDS) < _LOG_SECONDS:
            return
        self._logged_at[message] = now
        _log.error(message, open=self.open, limit=self.limits.open, waiting=self.waiting)

    def _now(self) -> float:
        assert self._loop is not None  # noqa: S101 - set by `add`
        return self._loop.time()


def connections_of(app_state: dict[str, Any]) -> Connections:
    """Return the connections of the process, as its application has put them into its state.

    Parameters:
      app_state: The lifespan's state.
    """
    if CONNECTIONS not in app_state:
        app_state[CONNECTIONS] = Connections(ConnectionLimits.of(open_file_limit()))
    connections: Connections = app_state[CONNECTIONS]
    return connections
