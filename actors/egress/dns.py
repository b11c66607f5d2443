"""Host names to addresses, off the event loop and once per name at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

#: Returns the addresses of a host and port as text, best first.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """Resolve a name with the system's resolver, in a thread.

    Parameters:
      host: A name, or any literal that the system accepts (`127.1`, `0x7f.1`).
      port: The port, for the service lookup.

    Returns:
      The addresses without repetition, best first (RFC 6724).

    Raises:
      OSError: The name cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class CoalescingResolver:
    """Shares one lookup between all who want the same name at the same time.

    A lookup occupies a thread that cannot be interrupted. Without sharing, the retries for a
    single name whose server is silent would occupy every thread, and no callback could leave.

    Parameters:
      resolver: Does the lookup.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._pending: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Resolve a host; canceling this leaves the lookup to the others.

        Parameters:
          host: As for the resolver.
          port: As for the resolver.

        Raises:
          OSError: As the resolver does.
        """
        lookup = self._pending.get((host, port)) or self._start(host, port)
        # Not asyncio.shield: from Python 3.14 on it reports the error of a lookup whose waiters
        # were all canceled (cpython#156321), although _discard has retrieved it.
        await asyncio.wait({lookup})
        return lookup.result()

    def _start(self, host: str, port: int) -> asyncio.Future[Sequence[str]]:
        lookup = asyncio.ensure_future(self._resolver(host, port))
        self._pending[host, port] = lookup
        lookup.add_done_callback(lambda done: self._discard((host, port), done))
        return lookup

    def _discard(self, key: tuple[str, int], done: asyncio.Future[Sequence[str]]) -> None:
        del self._pending[key]
        if not done.cancelled():
            # Nobody may be awaiting the lookup any more; retrieve its exception so that asyncio
            # does not log it.
            done.exception()
