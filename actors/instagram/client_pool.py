"""The gateways of one process, one per account; idle clients are closed.

An open client costs about 1 MiB (its connection holds a copy of the certificates) and a timer that
fires ten times a second. A closed client costs next to nothing, and rebuilding it takes 1 ms and no
login.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Final

from actors.instagram.account_client import no_login_limit
from actors.instagram.gateway import Gateway
from actors.instagram.options import AccountOptions, UnknownAccount
from actors.instagram.session_manager import LoginGuard
from service.accounts.session_store import SessionStore
from service.logging.setup import get_logger

#: A client unused for this long is closed.
IDLE_SECONDS: Final = 60.0
#: Idle clients beyond this number are closed early, least recently used first.
MAX_IDLE: Final = 50
CLOSE_IDLE_SECONDS: Final = 5.0

_log = get_logger(__name__)


class GatewayPool:
    """Lends gateways and closes idle clients.

    Parameters:
      accounts: The configured accounts by name.
      store: Holds their sessions.
      login_guard: Context manager around every password login.
      idle_seconds: How long a client may stay open unused.
      max_idle: How many unused clients may stay open.
    """

    def __init__(
        self,
        accounts: Mapping[str, AccountOptions],
        store: SessionStore,
        *,
        login_guard: LoginGuard = no_login_limit,
        idle_seconds: float = IDLE_SECONDS,
        max_idle: int = MAX_IDLE,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._login_guard = login_guard
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._gateways: dict[str, Gateway] = {}
        self._user_counts: Counter[str] = Counter()
        #: Monotonic time of each unused account's last use, least recently used first.
        self._idle_since: dict[str, float] = {}

    def acquire(self, name: str) -> AbstractContextManager[Gateway]:
        """Lend an account's gateway; its client is not closed before the block ends.

        Parameters:
          name: The account's configured name.

        Raises:
          UnknownAccount: This process has no such account.
        """
        if name not in self._accounts:
            raise UnknownAccount(f"account {name!r} is not in this process's configuration")
        return self._lend(name)

    @asynccontextmanager
    async def closing_idle(self) -> AsyncIterator[None]:
        """Close idle clients periodically until the block ends, then save and close all."""
        task = asyncio.create_task(self._close_idle_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.close_all()

    async def close_idle(self) -> None:
        """Close clients that are idle for too long or too many."""
        for name in self._due_for_closing():
            # A caller that acquires the account meanwhile waits on the client's lock, then
            # builds the client again.
            since = self._idle_since.pop(name, None)
            if since is not None and not await self._close_client(name):
                self._mark_idle_again(name, since)

    async def close_all(self) -> None:
        gateways = list(self._gateways.values())
        self._gateways.clear()
        self._idle_since.clear()
        await asyncio.gather(*(gateway.close() for gateway in gateways))

    @contextmanager
    def _lend(self, name: str) -> Iterator[Gateway]:
        if name not in self._gateways:
            self._gateways[name] = Gateway(
                self._accounts[name], self._store, login_guard=self._login_guard
            )
        self._user_counts[name] += 1
        self._idle_since.pop(name, None)
        try:
            yield self._gateways[name]
        finally:
            self._user_counts[name] -= 1
            if not self._user_counts[name]:
                self._idle_since[name] = time.monotonic()

    def _due_for_closing(self) -> list[str]:
        deadline = time.monotonic() - self._idle_seconds
        excess = len(self._idle_since) - self._max_idle
        idle = enumerate(self._idle_since.items())
        return [name for index, (name, since) in idle if index < excess or since <= deadline]

    async def _close_client(self, name: str) -> bool:
        """Close one client; False when it could not be closed, which must not stop the others."""
        try:
            return await self._gateways[name].suspend()
        except Exception as error:  # noqa: BLE001 - retried in the next round
            _log.error("failed to close idle client", account=name, exc_info=error)
            return False

    def _mark_idle_again(self, name: str, since: float) -> None:
        if not self._user_counts[name] and name not in self._idle_since:
            self._idle_since = {name: since, **self._idle_since}

    async def _close_idle_forever(self) -> None:
        while True:
            await asyncio.sleep(CLOSE_IDLE_SECONDS)
            await self.close_idle()
