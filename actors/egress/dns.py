"""Names into addresses, without stopping the loop or starving each other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

#: Answers with the addresses of a host, as text, best first.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver, off the loop.

    Parameters:
      host: A name, or any literal that the system accepts (`127.1`, `0x7f.1`).
      port: The port, for the service lookup.

    Returns:
      The addresses without repetition, best first (RFC 6724).

    Raises:
      OSError: If the name cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class CoalescingResolver:
    """One look-up at a time for a name, however many ask for it.

    A look-up holds a thread that cannot be interrupted. Without sharing, the retries of a single
    name whose server is silent would take every thread, and no callback could leave.

    Parameters:
      resolver: Does the look-up.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._pending: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host; giving up on them leaves the look-up to the others."""
        return await asyncio.shield(self._pending.get((host, port)) or self._start(host, port))

    def _start(self, host: str, port: int) -> asyncio.Future[Sequence[str]]:
        lookup = asyncio.ensure_future(self._resolver(host, port))
        self._pending[host, port] = lookup
        lookup.add_done_callback(lambda done: self._forget((host, port), done))
        return lookup

    def _forget(self, key: tuple[str, int], done: asyncio.Future[Sequence[str]]) -> None:
        del self._pending[key]
        if not done.cancelled():
            done.exception()  # Read, since everybody may have given up on it.
