"""The way to Instagram: what an account can be asked for, in the words of jobs."""

from __future__ import annotations

import time
from typing import Any

from actors.instagram import follower_pages, reconcile
from actors.instagram.account_client import AccountClient
from actors.instagram.client import InstagramClient
from actors.instagram.follower_pages import FollowersPage
from actors.instagram.idempotency_tokens import client_context_for, write_token
from actors.instagram.ids import InvalidInstagramId, RecipientId, media_pk, user_pk, username_of
from actors.instagram.profiles_and_posts import read_post, read_profile
from actors.instagram.receipts import CommentReceipt, DmReceipt
from actors.instagram.reconcile import OwnedByOthers, WriteQuery, no_owner
from actors.instagram.serializers import post_view, user_view


class Gateway(AccountClient):
    """What one account can be asked to do; each is one call, described as it is in `Calls`."""

    client_context_for = staticmethod(client_context_for)
    media_pk = staticmethod(media_pk)

    async def resolve(self, to: str) -> RecipientId:
        """Find the user that a job names.

        Parameters:
          to: A username, `@digits` for a username made of digits, or a pk (which needs no call).
        """
        if pk := user_pk(to):
            return RecipientId(pk, None)
        name = username_of(to)

        async def look_up(client: InstagramClient) -> RecipientId:
            user = await client.user_info_by_username_v1(name)
            return RecipientId(str(user.pk), str(user.username))

        return await self.call(look_up)

    async def has_thread(self, pk: str) -> bool:
        """Look whether a DM to somebody would go into a thread that exists.

        Parameters:
          pk: The recipient.
        """

        async def look(client: InstagramClient) -> bool:
            return await reconcile.thread_with(client, pk) is not None

        return await self.call(look)

    async def profile(self, name: str) -> dict[str, Any]:
        """Read a profile.

        Parameters:
          name: The username, with or without its `@`.

        Returns:
          As `projections.user_view`.
        """
        username = username_of(name)

        async def look(client: InstagramClient) -> dict[str, Any]:
            return user_view(await read_profile(client, username))

        return await self.call(look)

    async def post(self, pk: str) -> dict[str, Any]:
        """Read a post.

        Parameters:
          pk: From `Gateway.media_pk`.

        Returns:
          As `projections.post_view`.
        """

        async def look(client: InstagramClient) -> dict[str, Any]:
            return post_view(await read_post(client, pk))

        return await self.call(look)

    async def follower_page(self, pk: str, crowd: str, cursor: str) -> FollowersPage:
        """Read one page of a user's followers, or of those the user follows.

        Parameters:
          pk: The user.
          crowd: `followers` or `following`.
          cursor: From the page before; '' for the first.
        """

        async def look(client: InstagramClient) -> FollowersPage:
            return await follower_pages.read_page(client, pk, crowd, cursor)

        return await self.call(look)

    async def send_dm(self, pk: str, text: str, token: str) -> DmReceipt:
        """Send a DM to one person.

        Parameters:
          pk: The recipient.
          text: What it says.
          token: Names the write; the same one is recognised by `find_dm`.
        """
        if user_pk(pk) is None:
            raise InvalidInstagramId("to: not a pk")

        async def send(client: InstagramClient) -> DmReceipt:
            with write_token(token):
                message = await client.direct_send(text, user_ids=[int(pk)])
            thread_id = str(message.thread_id) if message.thread_id else None
            return DmReceipt(str(message.id), thread_id, client_context_for(token))

        return await self.call(send)

    async def comment(self, media_pk: str, text: str, token: str) -> CommentReceipt:
        """Comment on a post.

        Parameters:
          media_pk: The post, from `Gateway.media_pk`.
          text: What it says.
          token: Names the write.
        """

        async def send(client: InstagramClient) -> CommentReceipt:
            with write_token(token):
                comment = await client.media_comment(media_pk, text)
            return CommentReceipt(str(comment.pk))

        return await self.call(send)

    async def find_dm(
        self,
        pk: str,
        token_or_context: str,
        text: str | None,
        age_ms: int,
        not_these: OwnedByOthers = no_owner,
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

        async def look(client: InstagramClient) -> DmReceipt | None:
            sought = WriteQuery(str(client.user_id), text, intended_at, context, not_these)
            found = await reconcile.find_dm(client, pk, sought)
            if found is None:
                return None
            return DmReceipt(str(found.item["item_id"]), found.thread_id, context, found.by_token)

        return await self.call(look)

    async def find_comment(
        self, media_pk: str, text: str, age_ms: int, not_these: OwnedByOthers = no_owner
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

        async def look(client: InstagramClient) -> CommentReceipt | None:
            sought = WriteQuery(str(client.user_id), text, intended_at, owned_by_others=not_these)
            found = await reconcile.find_comment(client, media_pk, sought)
            return CommentReceipt(str(found["pk"])) if found else None

        return await self.call(look)


def _ago(age_ms: int) -> float:
    """Turn an age into monotonic time, so that it grows while a look-up waits and reads."""
    return time.monotonic() - age_ms / 1000
