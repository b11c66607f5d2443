"""One account's API client: serializes calls over one stored session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from actors.instagram.client import InstagramClient
from actors.instagram.errors import ClassifiedError, Outcome, classify
from actors.instagram.options import AccountOptions
from actors.instagram.session_doubts import (
    CHALLENGE_CONFIRMED,
    NOT_FOUND_UNCLEAR,
    Doubt,
    doubt_of,
    proves_session_over,
)
from actors.instagram.session_manager import LoginGuard, SessionManager
from service.accounts.session_store import SessionStore

CALL_SECONDS: Final = 90.0

#: The account's own page: it exists for every account, whatever the call was about.
_OWN_PAGE: Final = "accounts/current_user/?edit=true"
#: Outcomes of the own page's errors that concern the account; others tell nothing of it.
_OF_ACCOUNT: Final = frozenset({Outcome.COOL_DOWN, Outcome.HOLD, Outcome.FIX_PROXY})

T = TypeVar("T")

Action = Callable[[InstagramClient], Awaitable[T]]


@asynccontextmanager
async def no_login_limit(_account: AccountOptions, _first: bool) -> AsyncIterator[str | None]:
    """A login guard that allows every login and has no code."""
    yield None


class AccountClient:
    """One account's client, one call at a time within this process.

    Across processes, the account's turn keeps calls apart. `errors.classify` says what the errors
    mean; where one leaves open whether the account is in trouble, its own page has been asked.
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
        except Exception as error:
            doubt = doubt_of(error)
            if doubt is Doubt.NONE:
                raise
            refusal = error
        match doubt:
            case Doubt.CHALLENGE_DOUBTFUL:
                await self._ask_for_challenge(client)
                raise ClassifiedError(NOT_FOUND_UNCLEAR) from refusal
            case Doubt.SESSION_DOUBTFUL if not await self._is_session_over(client):
                raise refusal
        # The refusal is definite, for a write as well: the action had no effect.
        return await self._run_counting_reads(await self._session.renew(), action)

    async def _is_session_over(self, client: InstagramClient) -> bool:
        """Ask the account's own page; only its own word that the session is over counts.

        Raises:
          Exception: The page tells of other trouble of the account.
        """
        error = await self._own_page_error(client)
        if error is None or proves_session_over(error):
            return error is not None
        _raise_if_of_account(error)
        return False

    async def _ask_for_challenge(self, client: InstagramClient) -> None:
        """After a bare 404, ask the account's own page.

        Raises:
          ClassifiedError: It agrees that the account is challenged.
          Exception: It tells of other trouble of the account.
        """
        error = await self._own_page_error(client)
        if error is None:
            return
        match doubt_of(error):
            case Doubt.CHALLENGE_DOUBTFUL:
                raise ClassifiedError(CHALLENGE_CONFIRMED) from error
            case Doubt.SESSION_OVER | Doubt.SESSION_DOUBTFUL:
                await self._session.renew()
            case Doubt.NONE:
                _raise_if_of_account(error)

    async def _own_page_error(self, client: InstagramClient) -> Exception | None:
        async def ask(client: InstagramClient) -> None:
            await client.private_request(_OWN_PAGE)

        try:
            await self._run_counting_reads(client, ask)
        except Exception as error:  # noqa: BLE001 - the caller judges it
            return error
        return None

    async def _run_counting_reads(self, client: InstagramClient, action: Action[T]) -> T:
        try:
            return await action(client)
        finally:
            self._reads += client.take_reads()


def _raise_if_of_account(error: Exception) -> None:
    if classify(error, writing=False).outcome in _OF_ACCOUNT:
        raise error
