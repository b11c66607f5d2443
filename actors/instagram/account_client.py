"""One account's calls: one at a time, over one session that is kept in the vault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from aiograpi.exceptions import ClientUnauthorizedError, LoginRequired, PreLoginRequired

from actors.instagram.client import InstagramClient
from actors.instagram.options import AccountOptions
from actors.instagram.session_manager import LoginGuard, SessionManager
from service.accounts.session_store import SessionStore

CALL_SECONDS: Final = 90.0

T = TypeVar("T")

Action = Callable[[InstagramClient], Awaitable[T]]


@asynccontextmanager
async def no_login_limit(_account: AccountOptions, _first: bool) -> AsyncIterator[str | None]:
    """A gate that forbids nothing."""
    yield None


class AccountClient:
    """One account's client; calls wait for each other.

    Errors of the client library come through unchanged: `errors.classify` judges them. Across
    processes it is the account's line that keeps calls apart.
    """

    def __init__(
        self,
        account: AccountOptions,
        vault: SessionStore,
        *,
        gate: LoginGuard = no_login_limit,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """Describe the gateway; nothing is built, read or sent.

        Parameters:
          account: The account it works for.
          vault: Where its session lives.
          gate: What every login goes through.
          call_seconds: The longest a call may take, its login included.
        """
        self._name = account.name
        self._session = SessionManager(account, vault, gate)
        self._call_seconds = call_seconds
        self._lock = asyncio.Lock()
        self._reads = 0

    def __repr__(self) -> str:
        """Name the account, and nothing else of it."""
        return f"Gateway({self._name!r})"

    async def ensure_login(self) -> None:
        """Have a client with a login; a saved one is trusted without a request.

        Call it before the intent of a write is recorded: then a login that fails is no doubt
        about the write.
        """

        async def nothing(_client: InstagramClient) -> None:
            return None

        await self.call(nothing)

    def take_reads(self) -> int:
        """How many reads Instagram has answered or not since this was last asked."""
        reads, self._reads = self._reads, 0
        return reads

    async def suspend(self) -> bool:
        """Save the session and close the client; the next call builds it again.

        Returns:
          Whether that was done; not where the session cannot be saved now.
        """
        async with self._lock:
            saved = await self._session.persist()
            if saved:
                await self._session.drop()
            return saved

    async def close(self) -> None:
        """Save the session and close the connections, whether or not it can be saved."""
        async with self._lock:
            await self._session.persist()
            await self._session.drop()

    async def call(self, action: Action[T]) -> T:
        """Make a call when those before it have ended.

        Parameters:
          action: What to do with the client; one write at most.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._call_seconds):
                    return await self._attempt(action)
            finally:
                await self._session.persist()

    async def _attempt(self, action: Action[T]) -> T:
        client = await self._session.open()
        try:
            return await self._counted(client, action)
        except (LoginRequired, PreLoginRequired, ClientUnauthorizedError) as refusal:
            if not await _is_over(client, refusal):
                raise
        # A definite refusal, of a write too: what was asked has not happened.
        return await self._counted(await self._session.renew(), action)

    async def _counted(self, client: InstagramClient, action: Action[T]) -> T:
        try:
            return await action(client)
        finally:
            self._reads += client.take_reads()


async def _is_over(client: InstagramClient, refusal: Exception) -> bool:
    """Tell whether the session is what was refused; a 401 may be about the call alone."""
    if not isinstance(refusal, ClientUnauthorizedError):
        return True
    try:
        await client.account_info()
    except LoginRequired:
        return True
    return False
