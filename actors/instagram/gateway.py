"""The gateway to Instagram: one account's calls in the terms of jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from actors.instagram import follower_pages, stored_rows, threads, write_verification
from actors.instagram.account_client import AccountClient
from actors.instagram.client import InstagramClient
from actors.instagram.follower_pages import FollowersPage
from actors.instagram.idempotency_tokens import client_context_for, write_token
from actors.instagram.profiles_and_posts import read_post, read_profile
from actors.instagram.receipts import CommentReceipt, DmReceipt
from actors.instagram.serializers import post_view, user_view
from actors.instagram.write_query import LostTime, OwnedByOthers, WriteQuery, no_owner
from actors.instagram.write_verification import FoundDm
from service.instagram.ids import InvalidIdentifier, recipient_pk, recipient_username
from service.jobs.verification_report import VerificationReport


@dataclass(frozen=True)
class ResolvedRecipient:
    """A recipient that was found.

    Parameters:
      pk: The user's pk, in digits.
      username: As Instagram shows it, which differs if the user was renamed; None when the job
        named the pk.
    """

    pk: str
    username: str | None


class Gateway(AccountClient):
    """What one account does; each method is one `AccountClient.call`."""

    async def resolve(self, to: str) -> ResolvedRecipient:
        """Find a job's recipient.

        Parameters:
          to: A username, `@digits` for a username made of digits, or a pk, which needs no call.

        Raises:
          InvalidIdentifier: `to` has none of these forms.
          aiograpi.exceptions.UserNotFound: The user does not exist.
          MissingPk: Instagram's reply has no pk in any form.
        """
        if pk := recipient_pk(to):
            return ResolvedRecipient(pk, None)
        name = recipient_username(to)

        async def read(client: InstagramClient) -> ResolvedRecipient:
            user = user_view(await read_profile(client, name), name)
            return ResolvedRecipient(user["pk"], user["username"])

        return await self.call(read)

    async def has_thread(self, pk: str) -> bool:
        """Whether the account already has a thread with this recipient."""

        async def read(client: InstagramClient) -> bool:
            return bool(await threads.get_thread(client, pk))

        return await self.call(read)

    async def profile(self, name: str) -> dict[str, Any]:
        """Read a profile, as `serializers.user_view`.

        Parameters:
          name: The username, with or without `@`.
        """
        username = recipient_username(name)

        async def read(client: InstagramClient) -> dict[str, Any]:
            return user_view(await read_profile(client, username), username)

        return await self.call(read)

    async def post(self, pk: str) -> dict[str, Any]:
        """Read a post, as `serializers.post_view`.

        Parameters:
          pk: The post's media pk.
        """

        async def read(client: InstagramClient) -> dict[str, Any]:
            return post_view(await read_post(client, pk))

        return await self.call(read)

    async def follower_page(self, pk: str, kind: str, cursor: str) -> FollowersPage:
        """Read the page at a cursor; parameters and errors as `follower_pages.read_page`."""

        async def read(client: InstagramClient) -> FollowersPage:
            return await follower_pages.read_page(client, pk, kind, cursor)

        return await self.call(read)

    async def send_dm(self, pk: str, text: str, token: str) -> DmReceipt:
        """Send a text DM to one recipient.

        Parameters:
          pk: The recipient's pk.
          text: The message.
          token: Identifies the write; `find_dm` matches by it.

        Raises:
          InvalidIdentifier: `pk` is not a pk; nothing was sent.
        """
        if recipient_pk(pk) is None:
            raise InvalidIdentifier("to: not a pk")

        async def send(client: InstagramClient) -> DmReceipt:
            with write_token(token):
                message = await client.direct_send(text, user_ids=[int(pk)])
            thread_id = str(message.thread_id) if message.thread_id else None
            return DmReceipt(str(message.id), thread_id, client_context_for(token))

        return await self.call(send)

    async def comment(self, media_pk: str, text: str, token: str) -> CommentReceipt:
        """Comment on a post.

        Parameters:
          media_pk: The post's media pk.
          text: The comment.
          token: Identifies the write.
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
        owned_by_others: OwnedByOthers = no_owner,
        lost: LostTime | None = None,
        report: VerificationReport | None = None,
    ) -> DmReceipt | None:
        """Verify whether a DM reached its thread.

        Parameters:
          pk: The recipient's pk.
          token_or_context: The token it was sent with, or the `client_context` derived from it.
          text: Its text; None for a photo.
          age_ms: Time since its intent was recorded, in ms.
          owned_by_others: Returns which message ids belong to other jobs; called only when no
            message carries the token.
          lost: If given, the DM may also be one of this time that carries another token.
          report: Filled in with what is read.

        Returns:
          The DM's receipt; None when the thread certainly does not show it at present.

        Raises:
          SearchIncomplete: The thread has more newer messages than are read.
          SimilarWriteFound: The thread shows a message that may be it.
        """
        context, intended_at = client_context_for(token_or_context), _monotonic_ago(age_ms)
        read_so_far = report or VerificationReport()

        async def read(client: InstagramClient) -> DmReceipt | None:
            query = WriteQuery(
                str(client.user_id), text, intended_at, context, owned_by_others, lost, read_so_far
            )
            found = await write_verification.find_dm(client, pk, query)
            return _dm_receipt(found, context) if found else None

        return await self.call(read)

    async def find_comment(
        self,
        media_pk: str,
        text: str,
        age_ms: int,
        owned_by_others: OwnedByOthers = no_owner,
        report: VerificationReport | None = None,
    ) -> CommentReceipt | None:
        """Verify whether a comment reached its post.

        Parameters:
          media_pk: The post's media pk.
          text: Its text.
          age_ms: Time since its intent was recorded, in ms.
          owned_by_others: Returns which comment ids belong to other jobs.
          report: As in `find_dm`.

        Returns:
          The comment's receipt; None when the post certainly does not show it at present.

        Raises:
          SearchIncomplete: The post has more comments than are read.
          SimilarWriteFound: The post shows a comment that may be it.
        """
        intended_at, read_so_far = _monotonic_ago(age_ms), report or VerificationReport()

        async def read(client: InstagramClient) -> CommentReceipt | None:
            query = WriteQuery(
                str(client.user_id),
                text,
                intended_at,
                owned_by_others=owned_by_others,
                report=read_so_far,
            )
            found = await write_verification.find_comment(client, media_pk, query)
            return CommentReceipt(stored_rows.comment_id(found)) if found else None

        return await self.call(read)


def _dm_receipt(found: FoundDm, context: str) -> DmReceipt:
    return DmReceipt(
        stored_rows.message_id(found.item),
        found.thread_id,
        stored_rows.client_context(found.item) or context,
        found.by_token,
    )


def _monotonic_ago(age_ms: int) -> float:
    """Convert an age to monotonic time, so that it keeps growing while the search reads."""
    return time.monotonic() - age_ms / 1000
