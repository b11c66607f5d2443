"""Redis connections on the event loop that let themselves be canceled.

redis-py 8.1 writes each command inside `asyncio.wait_for`, which before Python 3.12 swallows a
cancel that arrives as its result does (https://github.com/python/cpython/issues/86296): a loop
over Redis went on after it was canceled, and a process that waited for it never ended. It also
costs a task a command. Here the same write stands inside `asyncio.timeout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Cancelable(AbstractConnection):
    """What is added to each kind of connection."""

    socket_timeout: float | None

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
CANCELABLE: Final[Mapping[Any, type[AbstractConnection]]] = {
    Connection: _Plain,
    SSLConnection: _Encrypted,
    UnixDomainSocketConnection: _Local,
}
