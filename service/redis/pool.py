"""Redis connections on the event loop that let themselves be canceled.

redis-py 8.1 writes each command inside `asyncio.wait_for`, which before Python 3.12 swallows a
cancel that arrives as its result does (https://github.com/python/cpython/issues/86296): a loop
over Redis went on after it was canceled, and a process that waited for it never ended. It also
costs a task a command. Here the same write stands inside `asyncio.timeout`.

Two of its ways are long for what they do, and every round trip goes them: a command is put together
in Python though hiredis has it in C, and a connection that is free is handed over as if somebody
had to wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, cast

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_pack: Final = HiredisRespSerializer().pack


class _Cancelable(AbstractConnection):
    """What is added to each kind of connection."""

    socket_timeout: float | None

    def pack_command(self, *args: Any) -> list[bytes]:
        """A command as it is written."""
        return cast("list[bytes]", _pack(*args))

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Write a command; the time limit is ours, errors are told as redis-py does."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health=False)
        except TimeoutError:
            raise RedisTimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = seconds


class _Plain(_Cancelable, Connection):
    pass


class _Encrypted(_Cancelable, SSLConnection):
    pass


class _Local(_Cancelable, UnixDomainSocketConnection):
    pass


#: For each class that a URL chooses, the one to use instead of it.
CANCELABLE_CONNECTIONS: Final[Mapping[Any, type[AbstractConnection]]] = {
    Connection: _Plain,
    SSLConnection: _Encrypted,
    UnixDomainSocketConnection: _Local,
}


class FairConnectionPool(ConnectionPool):
    """At most so many connections; callers beyond them wait, and who came first goes first.

    Parameters:
      timeout: How long a caller may wait, in seconds.
      options: As for redis-py's pools.
    """

    def __init__(self, *, timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._timeout = timeout
        self._waiting: deque[asyncio.Future[AbstractConnection]] = deque()

    async def get_connection(self, *_keys: Any, **_options: Any) -> AbstractConnection:
        """A connection that is ready.

        Raises:
          redis.exceptions.ConnectionError: There was none in time, or the store is not there.
        """
        connection = self._take() if self._is_free() else await self._wait()
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Take one back, and give it to the next."""
        await super().release(connection)
        while self._waiting and self.can_get_connection():
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(self._take())

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        """Make sure that nothing is wrong with one; what redis-py does for it takes longer."""
        try:
            fresh = connection.is_connected and not await connection.can_read()
        except (RedisConnectionError, OSError):
            fresh = False
        if not fresh:
            await super().ensure_connection(connection)

    def _is_free(self) -> bool:
        return not self._waiting and self.can_get_connection()

    def _take(self) -> AbstractConnection:
        taken = self.get_available_connection()  # type: ignore[no-untyped-call]
        return cast("AbstractConnection", taken)

    async def _wait(self) -> AbstractConnection:
        turn: asyncio.Future[AbstractConnection] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._timeout):
                return await turn
        except BaseException as error:
            if not turn.cancel() and not turn.cancelled():  # it was given one all the same
                await self.release(turn.result())
            if isinstance(error, TimeoutError):
                raise RedisConnectionError("No connection available.") from None
            raise
