"""What a job does at Instagram: a DM or a comment; each knows its target, write and trace."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.instagram.gateway import Gateway
from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.receipts import CommentReceipt, DmReceipt
from actors.instagram.reconcile import OwnedByOthers
from service.accounts.user_id_cache import UserIdCache
from service.instagram.ids import media_pk
from service.jobs.claims import Claim, Thread
from service.jobs.write_ownership import WriteOwnership


@dataclass(frozen=True)
class WriteResult:
    """A write that Instagram has.

    Parameters:
      result: The job's result.
      written: What no other job may take for its own write; '' where the token tells them apart.
    """

    result: dict[str, Any]
    written: str = ""


@dataclass(frozen=True)
class SearchContext:
    """What a look-up knows besides the job.

    Parameters:
      age_ms: How long ago the intent was recorded.
      not_these: Which ids at Instagram belong to other jobs.
    """

    age_ms: int
    not_these: OwnedByOthers


def search_context(claim: Claim, claimed_at: float, written: WriteOwnership) -> SearchContext:
    """Prepare the look-up of a job's write.

    Parameters:
      claim: The claim.
      claimed_at: Monotonic time from before the claim was asked for.
      written: Who owns what.
    """
    # Of clocks that do not agree only spans are used: first Redis', then this process's.
    span_ms = max(claim.claimed_ms - claim.job.intent_ms, 0)
    age_ms = span_ms + round((time.monotonic() - claimed_at) * 1000)

    async def not_these(ids: Sequence[str]) -> set[str]:
        return await written.owned_by_others(claim.job.account, ids, claim.id)

    return SearchContext(age_ms, not_these)


class JobWrite(Protocol):
    """One kind of job."""

    async def target(self, claim: Claim, gateway: Gateway, people: UserIdCache) -> str:
        """The pk of whom or what the write is for."""

    def context(self, claim: Claim) -> str:
        """What the write can be recognised by; '' where text and time must do."""

    async def thread(self, gateway: Gateway, pk: str) -> Thread:
        """Whether the write goes into a thread that exists; '' where there are no threads."""

    async def prepare(self, claim: Claim, gateway: Gateway, pk: str) -> None:
        """Have what the write needs, before anything of it is recorded."""

    async def upload(self, gateway: Gateway) -> None:
        """Do what comes before the write and that nobody sees, after its intent."""

    async def write(self, claim: Claim, gateway: Gateway, pk: str) -> WriteResult:
        """Do it."""

    async def find(
        self, claim: Claim, gateway: Gateway, pk: str, search: SearchContext
    ) -> WriteResult | None:
        """An earlier write of this job; None when Instagram shows none."""


def write_id(claim: Claim) -> str:
    """Names the job's one write, the same in every attempt and run."""
    return f"{claim.id}:1"


class SingleRequestWrite:
    """A write that is one request."""

    async def prepare(self, _claim: Claim, _gateway: Gateway, _pk: str) -> None:
        """There is nothing to prepare."""

    async def upload(self, _gateway: Gateway) -> None:
        """There is nothing to upload."""


class DirectMessage(SingleRequestWrite):
    """A DM to one recipient."""

    async def target(self, claim: Claim, gateway: Gateway, people: UserIdCache) -> str:
        """The recipient's pk: given, known from before, or looked up."""
        name = claim.job.to
        if claim.job.pk:
            return claim.job.pk
        known = await people.pk(name)
        if known is not None:
            return known
        recipient = await gateway.resolve(name)
        if recipient.username is not None:
            await people.remember(name, recipient.pk)
        return recipient.pk

    def context(self, claim: Claim) -> str:
        """The client_context that the DM carries."""
        return client_context_for(write_id(claim))

    async def thread(self, gateway: Gateway, pk: str) -> Thread:
        """Look the thread up."""
        return "old" if await gateway.has_thread(pk) else "new"

    async def write(self, claim: Claim, gateway: Gateway, pk: str) -> WriteResult:
        """Send it."""
        receipt = await gateway.send_dm(pk, claim.text, write_id(claim))
        return dm_result(receipt)

    async def find(
        self, claim: Claim, gateway: Gateway, pk: str, search: SearchContext
    ) -> WriteResult | None:
        """Read the thread."""
        receipt = await gateway.find_dm(
            pk, write_id(claim), claim.text, search.age_ms, search.not_these
        )
        return None if receipt is None else dm_result(receipt)


def dm_result(receipt: DmReceipt) -> WriteResult:
    """A DM that Instagram has, as a job's end."""
    result = {
        "message_id": receipt.message_id,
        "thread_id": receipt.thread_id,
        "client_context": receipt.client_context,
    }
    return WriteResult(result, "" if receipt.by_token else receipt.message_id)


class Comment(SingleRequestWrite):
    """A comment on one post."""

    async def target(self, claim: Claim, _gateway: Gateway, _people: UserIdCache) -> str:
        """The post's pk, worked out from its shortcode or id."""
        return media_pk(claim.job.post)

    def context(self, _claim: Claim) -> str:
        """Comments do not show the token they were sent with."""
        return ""

    async def thread(self, _gateway: Gateway, _pk: str) -> Thread:
        """Comments have none."""
        return ""

    async def write(self, claim: Claim, gateway: Gateway, pk: str) -> WriteResult:
        """Post it."""
        receipt = await gateway.comment(pk, claim.text, write_id(claim))
        return _comment_result(receipt)

    async def find(
        self, claim: Claim, gateway: Gateway, pk: str, search: SearchContext
    ) -> WriteResult | None:
        """Read the newest comments."""
        receipt = await gateway.find_comment(pk, claim.text, search.age_ms, search.not_these)
        return None if receipt is None else _comment_result(receipt)


def _comment_result(receipt: CommentReceipt) -> WriteResult:
    return WriteResult({"comment_id": receipt.comment_id}, receipt.comment_id)


WRITES: Final[Mapping[str, JobWrite]] = {"dm": DirectMessage(), "comment": Comment()}
