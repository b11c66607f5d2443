"""The gateways of one process: one per account, whose client is there only while it is of use.

An open client costs about a MiB (its connection holds a copy of the certificates) and a timer that
fires ten times a second, a closed one next to nothing; to build it again takes a millisecond and
no login.
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

#: A client that nobody has used for so long is closed.
IDLE_SECONDS: Final = 60.0
#: Of clients that nobody uses, more than this are closed sooner, the longest unused first.
MAX_IDLE: Final = 50
CLOSE_IDLE_SECONDS: Final = 5.0

_log = get_logger(__name__)


class GatewayPool:
    """Lends gateways, and closes the clients of those that nobody uses.

    Parameters:
      accounts: The configured accounts by name.
      vault: Where their sessions live.
      gate: As `Gateway`.
      idle_seconds: For how long a client may be unused.
      most_idle: How many may be.
    """

    def __init__(
        self,
        accounts: Mapping[str, AccountOptions],
        vault: SessionStore,
        *,
        gate: LoginGuard = no_login_limit,
        idle_seconds: float = IDLE_SECONDS,
        most_idle: int = MAX_IDLE,
    ) -> None:
        self._accounts = accounts
        self._vault = vault
        self._gate = gate
        self._gateways: dict[str, Gateway] = {}
        self._usage = IdleTracker(most_idle, idle_seconds)

    def acquire(self, name: str) -> AbstractContextManager[Gateway]:
        """Give an account's gateway, whose client stays until the block ends.

        Parameters:
          name: The account's.

        Raises:
          UnknownAccount: When this process has no such account.
        """
        if name not in self._accounts:
            raise UnknownAccount(f"account {name!r} is not in this process's configuration")
        return self._lent(name)

    @asynccontextmanager
    async def closing_idle(self) -> AsyncIterator[None]:
        """Tidy up now and then until the block ends, then save and close everything."""
        task = asyncio.create_task(self._close_idle_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.close_all()

    async def close_idle(self) -> None:
        """Close the clients that nobody has used for too long, and those that are too many."""
        for name in self._usage.due():
            # Whoever wants it meanwhile waits for the end of this, and has it built again.
            since = self._usage.take(name)
            if since is not None and not await self._rests(name):
                self._usage.put_back(name, since)

    async def close_all(self) -> None:
        """Save and close every gateway."""
        gateways = list(self._gateways.values())
        self._gateways.clear()
        self._usage.clear()
        await asyncio.gather(*(gateway.close() for gateway in gateways))

    @contextmanager
    def _lent(self, name: str) -> Iterator[Gateway]:
        if name not in self._gateways:
            self._gateways[name] = Gateway(self._accounts[name], self._vault, gate=self._gate)
        with self._usage.using(name):
            yield self._gateways[name]

    async def _rests(self, name: str) -> bool:
        """Close one client; the trouble of one is not that of the others."""
        try:
            return await self._gateways[name].suspend()
        except Exception as error:  # noqa: BLE001 - there is a next time
            _log.error("failed to close idle client", account=name, exc_info=error)
            return False

    async def _close_idle_forever(self) -> None:
        while True:
            await asyncio.sleep(CLOSE_IDLE_SECONDS)
            await self.close_idle()
