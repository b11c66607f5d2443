"""The gateways of one process, one per account; idle clients are closed.

An open client costs about 1 MiB (its connection holds a copy of the certificates) and a timer that
fires ten times a second. A closed client costs next to nothing, and rebuilding it takes 1 ms and no
login.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Final

from actors.idle_tracker import IdleTracker
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
        self._gateways: dict[str, Gateway] = {}
        self._usage = IdleTracker(max_idle, idle_seconds)

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
        for name in self._usage.due():
            # A caller that acquires the account meanwhile waits on the client's lock, then
            # builds the client again.
            since = self._usage.take(name)
            if since is not None and not await self._close_client(name):
                self._usage.put_back(name, since)

    async def close_all(self) -> None:
        gateways = list(self._gateways.values())
        self._gateways.clear()
        self._usage.clear()
        await asyncio.gather(*(gateway.close() for gateway in gateways))

    @contextmanager
    def _lend(self, name: str) -> Iterator[Gateway]:
        if name not in self._gateways:
            self._gateways[name] = Gateway(
                self._accounts[name], self._store, login_guard=self._login_guard
            )
        with self._usage.using(name):
            yield self._gateways[name]

    async def _close_client(self, name: str) -> bool:
        """Close one client; False when it could not be closed, which must not stop the others."""
        try:
            return await self._gateways[name].suspend()
        except Exception as error:  # noqa: BLE001 - retried in the next round
            _log.error("failed to close idle client", account=name, exc_info=error)
            return False

    async def _close_idle_forever(self) -> None:
        while True:
            await asyncio.sleep(CLOSE_IDLE_SECONDS)
            await self.close_idle()
