"""The way to Instagram: one account, one call at a time, one session kept in the vault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from aiograpi.exceptions import ClientUnauthorizedError, LoginRequired, PreLoginRequired

from actors.instagram import crowds, reconcile
from actors.instagram.client import PacedClient
from actors.instagram.crowds import CrowdPage
from actors.instagram.keeper import Gate, Keeper
from actors.instagram.options import AccountOptions
from actors.instagram.projections import post_view, user_view
from actors.instagram.reads import read_post, read_profile
from actors.instagram.receipts import CommentReceipt, DmReceipt
from actors.instagram.reconcile import OwnedByOthers, Sought, nobodys
from actors.instagram.targets import InvalidTarget, Recipient, media_pk, user_pk, username_of
from actors.instagram.tokens import client_context_for, write_token
from service.accounts.vault import Vault

CALL_SECONDS: Final = 90.0

_T = TypeVar("_T")

_Action = Callable[[PacedClient], Awaitable[_T]]


@asynccontextmanager
async def any_login(_account: AccountOptions, _first: bool) -> AsyncIterator[str | None]:
    """A gate that forbids nothing."""
    yield None


class Gateway:
    """One account's client; calls wait for each other.

    Errors of the client library come through unchanged: `errors.classify` judges them. Across
    processes it is the account's line that keeps calls apart.
    """

    client_context_for = staticmethod(client_context_for)
    media_pk = staticmethod(media_pk)

    def __init__(
        self,
        account: AccountOptions,
        vault: Vault,
        *,
        gate: Gate = any_login,
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
        self._keeper = Keeper(account, vault, gate)
        self._call_seconds = call_seconds
        self._lock = asyncio.Lock()
        self._reads = 0

    def __repr__(self) -> str:
        """Name the account, and nothing else of it."""
        return f"Gateway({self._name!r})"

    async def ready(self) -> None:
        """Have a client with a login; a saved one is trusted without a request.

        Call it before the intent of a write is recorded: then a login that fails is no doubt
        about the write.
        """

        async def nothing(_client: PacedClient) -> None:
            return None

        await self._call(nothing)

    async def resolve(self, to: str) -> Recipient:
        """Find the user that a job names.

        Parameters:
          to: A username, `@digits` for a username made of digits, or a pk (which needs no call).
        """
        if pk := user_pk(to):
            return Recipient(pk, None)
        name = username_of(to)

        async def look_up(client: PacedClient) -> Recipient:
            user = await client.user_info_by_username_v1(name)
            return Recipient(str(user.pk), str(user.username))

        return await self._call(look_up)

    async def has_thread(self, pk: str) -> bool:
        """Look whether a DM to somebody would go into a thread that exists.

        Parameters:
          pk: The recipient.
        """

        async def look(client: PacedClient) -> bool:
            return await reconcile.thread_with(client, pk) is not None

        return await self._call(look)

    async def profile(self, name: str) -> dict[str, Any]:
        """Read a profile.

        Parameters:
          name: The username, with or without its `@`.

        Returns:
          As `projections.user_view`.
        """
        username = username_of(name)

        async def look(client: PacedClient) -> dict[str, Any]:
            return user_view(await read_profile(client, username))

        return await self._call(look)

    async def post(self, pk: str) -> dict[str, Any]:
        """Read a post.

        Parameters:
          pk: From `Gateway.media_pk`.

        Returns:
          As `projections.post_view`.
        """

        async def look(client: PacedClient) -> dict[str, Any]:
            return post_view(await read_post(client, pk))

        return await self._call(look)

    async def crowd(self, pk: str, crowd: str, cursor: str) -> CrowdPage:
        """Read one page of a user's followers, or of those the user follows.

        Parameters:
          pk: The user.
          crowd: `followers` or `following`.
          cursor: From the page before; '' for the first.
        """

        async def look(client: PacedClient) -> CrowdPage:
            return await crowds.read_page(client, pk, crowd, cursor)

        return await self._call(look)

    def take_reads(self) -> int:
        """How many reads Instagram has answered or not since this was last asked."""
        reads, self._reads = self._reads, 0
        return reads

    async def send_dm(self, pk: str, text: str, token: str) -> DmReceipt:
        """Send a DM to one person.

        Parameters:
          pk: The recipient.
          text: What it says.
          token: Names the write; the same one is recognised by `find_dm`.
        """
        if user_pk(pk) is None:
            raise InvalidTarget("to: not a pk")

        async def send(client: PacedClient) -> DmReceipt:
            with write_token(token):
                message = await client.direct_send(text, user_ids=[int(pk)])
            thread_id = str(message.thread_id) if message.thread_id else None
            return DmReceipt(str(message.id), thread_id, client_context_for(token))

        return await self._call(send)

    async def comment(self, media_pk: str, text: str, token: str) -> CommentReceipt:
        """Comment on a post.

        Parameters:
          media_pk: The post, from `Gateway.media_pk`.
          text: What it says.
          token: Names the write.
        """

        async def send(client: PacedClient) -> CommentReceipt:
            with write_token(token):
                comment = await client.media_comment(media_pk, text)
            return CommentReceipt(str(comment.pk))

        return await self._call(send)

    async def find_dm(
        self,
        pk: str,
        token_or_context: str,
        text: str | None,
        age_ms: int,
        not_these: OwnedByOthers = nobodys,
    ) -> DmReceipt | None:
        """Look whether a DM reached its thread.

        Parameters:
          pk: The recipient.
          token_or_context: The token it was sent with, or the `client_context` made of it.
          text: What it said; None for a photo.
          age_ms: How long ago its intent was recorded.
          not_these: Which message ids belong to other jobs; asked where the token does not tell.

        Returns:
          Its receipt; None when it is certain that the thread does not show it (now).
        """
        context, intended_at = client_context_for(token_or_context), _ago(age_ms)

        async def look(client: PacedClient) -> DmReceipt | None:
            sought = Sought(str(client.user_id), text, intended_at, context, not_these)
            found = await reconcile.find_dm(client, pk, sought)
            if found is None:
                return None
            return DmReceipt(str(found.item["item_id"]), found.thread_id, context, found.by_token)

        return await self._call(look)

    async def call(self, action: _Action[_T]) -> _T:
        """Make a call that is described elsewhere (`photos.py`); it must send one write at most."""
        return await self._call(action)

    async def find_comment(
        self, media_pk: str, text: str, age_ms: int, not_these: OwnedByOthers = nobodys
    ) -> CommentReceipt | None:
        """Look whether a comment reached its post.

        Parameters:
          media_pk: The post.
          text: What it said.
          age_ms: How long ago its intent was recorded.
          not_these: Which comment ids belong to other jobs.

        Returns:
          Its receipt; None when it is certain that the post does not show it (now).
        """
        intended_at = _ago(age_ms)

        async def look(client: PacedClient) -> CommentReceipt | None:
            sought = Sought(str(client.user_id), text, intended_at, not_these=not_these)
            found = await reconcile.find_comment(client, media_pk, sought)
            return CommentReceipt(str(found["pk"])) if found else None

        return await self._call(look)

    async def rest(self) -> bool:
        """Save the session and close the client; the next call builds it again.

        Returns:
          Whether that was done; not where the session cannot be saved now.
        """
        async with self._lock:
            saved = await self._keeper.persist()
            if saved:
                await self._keeper.drop()
            return saved

    async def close(self) -> None:
        """Save the session and close the connections, whether or not it can be saved."""
        async with self._lock:
            await self._keeper.persist()
            await self._keeper.drop()

    async def _call(self, action: _Action[_T]) -> _T:
        async with self._lock:
            try:
                async with asyncio.timeout(self._call_seconds):
                    return await self._attempt(action)
            finally:
                await self._keeper.persist()

    async def _attempt(self, action: _Action[_T]) -> _T:
        client = await self._keeper.open()
        try:
            return await self._counted(client, action)
        except (LoginRequired, PreLoginRequired, ClientUnauthorizedError) as refusal:
            if not await _is_over(client, refusal):
                raise
        # A definite refusal, of a write too: what was asked has not happened.
        return await self._counted(await self._keeper.renew(), action)

    async def _counted(self, client: PacedClient, action: _Action[_T]) -> _T:
        try:
            return await action(client)
        finally:
            self._reads += client.take_reads()


def _ago(age_ms: int) -> float:
    """Turn an age into monotonic time, so that it grows while a look-up waits and reads."""
    return time.monotonic() - age_ms / 1000


async def _is_over(client: PacedClient, refusal: Exception) -> bool:
    """Tell whether the session is what was refused; a 401 may be about the call alone."""
    if not isinstance(refusal, ClientUnauthorizedError):
        return True
    try:
        await client.account_info()
    except LoginRequired:
        return True
    return False
