"""One account's API client: serializes calls over one stored session."""

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
    """A login guard that allows every login and has no code."""
    yield None


class AccountClient:
    """One account's client, one call at a time within this process.

    Across processes, the account's turn keeps calls apart. Errors of the client library are
    raised unchanged; `errors.classify` says what they mean.
    """

    def __init__(
        self,
        account: AccountOptions,
        store: SessionStore,
        *,
        login_guard: LoginGuard = no_login_limit,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """Create the client without connecting or reading anything.

        Parameters:
          account: The configured account.
          store: Holds the account's session.
          login_guard: Context manager around every password login.
          call_seconds: Time limit of one call, its login included.
        """
        self._name = account.name
        self._session = SessionManager(account, store, login_guard)
        self._call_seconds = call_seconds
        self._lock = asyncio.Lock()
        self._reads = 0

    def __repr__(self) -> str:
        return f"Gateway({self._name!r})"

    async def ensure_login(self) -> None:
        """Log in unless a stored session exists, which is trusted without a request.

        Call this before recording the intent of a write, so that a failed login leaves no
        unconfirmed write.
        """

        async def no_request(_client: InstagramClient) -> None:
            return None

        await self.call(no_request)

    def take_reads(self) -> int:
        """Return and reset the number of reads sent, answered or not."""
        reads, self._reads = self._reads, 0
        return reads

    async def suspend(self) -> bool:
        """Save the session and close the client; the next call builds a new one.

        Returns:
          False when the session could not be saved; the client then stays open.
        """
        async with self._lock:
            saved = await self._session.persist()
            if saved:
                await self._session.drop()
            return saved

    async def close(self) -> None:
        """Try to save the session, then close the connections in any case."""
        async with self._lock:
            await self._session.persist()
            await self._session.drop()

    async def call(self, action: Action[T]) -> T:
        """Run an action once all earlier calls have ended.

        Parameters:
          action: Called with a logged-in client, and once more after a re-login; it may send at
            most one write.

        Raises:
          TimeoutError: The call took longer than its time limit.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._call_seconds):
                    return await self._call_with_session(action)
            finally:
                await self._session.persist()

    async def _call_with_session(self, action: Action[T]) -> T:
        client = await self._session.open()
        try:
            return await self._run_counting_reads(client, action)
        except (LoginRequired, PreLoginRequired, ClientUnauthorizedError) as error:
            if not await _session_expired(client, error):
                raise
        # The refusal is definite, for a write as well: the action had no effect.
        return await self._run_counting_reads(await self._session.renew(), action)

    async def _run_counting_reads(self, client: InstagramClient, action: Action[T]) -> T:
        try:
            return await action(client)
        finally:
            self._reads += client.take_reads()


async def _session_expired(client: InstagramClient, error: Exception) -> bool:
    """Whether the session is over; a 401 may concern only the call, so another read decides."""
    if not isinstance(error, ClientUnauthorizedError):
        return True
    try:
        await client.account_info()
    except LoginRequired:
        return True
    return False
