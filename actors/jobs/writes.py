"""The writes of jobs, DMs and comments: how each is targeted, sent and found again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError
from actors.instagram.gateway import Gateway
from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.receipts import CommentReceipt, DmReceipt
from actors.instagram.write_query import LostTime, OwnedByOthers
from service.accounts.user_id_cache import UserIdCache
from service.instagram.ids import media_pk
from service.jobs.claims import Claim, Thread
from service.jobs.verification_report import VerificationReport
from service.jobs.write_ownership import WriteOwnership

_TEXT_GONE: Final = ErrorPolicy(
    Outcome.FINAL, "text_gone", "The text is no longer stored: create a new job."
)


@dataclass(frozen=True)
class WriteResult:
    """A write that Instagram has stored.

    Parameters:
      result: The job's result.
      written: The id that no other job may claim as its write; '' where a token identifies it.
    """

    result: dict[str, Any]
    written: str = ""


@dataclass(frozen=True)
class SearchContext:
    """What a verification needs besides the job.

    Parameters:
      age_ms: How long ago the intent was recorded.
      owned_by_others: Selects the ids at Instagram that belong to other jobs.
      lost: The time of which the store has lost the history; None for a write of this very job.
      report: What the verification has read.
    """

    age_ms: int
    owned_by_others: OwnedByOthers
    lost: LostTime | None = None
    report: VerificationReport = field(default_factory=VerificationReport)


def search_context(claim: Claim, claimed_at: float, ownership: WriteOwnership) -> SearchContext:
    """Prepare the verification of a job's write.

    Parameters:
      claim: The claim.
      claimed_at: Monotonic time from before the claim was sent.
      ownership: Knows which job owns which write.
    """
    # The two clocks may disagree, so only spans are used: first of Redis, then of this process.
    job, since_claim_ms = claim.job, round((time.monotonic() - claimed_at) * 1000)
    age_ms = max(claim.claimed_ms - job.intent_ms, 0) + since_claim_ms

    async def owned_by_others(ids: Sequence[str]) -> set[str]:
        return await ownership.owned_by_others(job.account, ids, claim.id)

    if not claim.look_first:
        return SearchContext(age_ms, owned_by_others)

    async def known_tokens(tokens: Sequence[str]) -> set[str]:
        return await ownership.known_tokens(job.account, tokens)

    ended_at = claimed_at + (job.lost_until_ms - claim.claimed_ms) / 1000
    return SearchContext(age_ms, owned_by_others, LostTime(ended_at, known_tokens))


class JobWrite(Protocol):
    """The steps of one kind of write, in the order in which an attempt calls them.

    `pk` is Instagram's numeric id of the recipient or the post.
    """

    async def target(self, claim: Claim, gateway: Gateway, user_ids: UserIdCache) -> str:
        """Find the pk of the recipient or the post."""

    async def prepare(self, claim: Claim, gateway: Gateway, pk: str) -> None:
        """Obtain what the write needs, before its intent is recorded."""

    def context(self, claim: Claim) -> str:
        """The token that identifies the write at Instagram; '' where only text and time do."""

    async def thread(self, gateway: Gateway, pk: str) -> Thread:
        """Look up whether the thread exists already; '' where there are no threads."""

    async def upload(self, gateway: Gateway) -> None:
        """After the intent, do what must precede the write and is visible to nobody."""

    async def write(self, claim: Claim, gateway: Gateway, pk: str) -> WriteResult:
        """Send the write."""

    async def find(
        self, claim: Claim, gateway: Gateway, pk: str, search: SearchContext
    ) -> WriteResult | None:
        """Find an earlier write of this job; None when Instagram shows none."""


def write_id(claim: Claim) -> str:
    """The id of the job's one write, the same in every attempt and run."""
    return f"{claim.id}:1"


class SingleRequestWrite:
    """A write that is one request, whose text is all that it needs."""

    async def prepare(self, claim: Claim, _gateway: Gateway, _pk: str) -> None:
        """Make sure that the text is still stored: a store that evicts keys may have dropped it."""
        if not claim.text:
            raise ClassifiedError(_TEXT_GONE)

    async def upload(self, _gateway: Gateway) -> None:
        pass


class DirectMessage(SingleRequestWrite):
    """A text to one recipient."""

    async def target(self, claim: Claim, gateway: Gateway, user_ids: UserIdCache) -> str:
        """The recipient's pk: from the job, the cache, or a lookup."""
        name = claim.job.to
        if claim.job.pk:
            return claim.job.pk
        cached = await user_ids.pk(name)
        if cached is not None:
            return cached
        recipient = await gateway.resolve(name)
        if recipient.username is not None:
            await user_ids.remember(
                name, recipient.pk, recipient.username, account=claim.job.account
            )
        return recipient.pk

    def context(self, claim: Claim) -> str:
        """The `client_context` that the DM carries."""
        return client_context_for(write_id(claim))

    async def thread(self, gateway: Gateway, pk: str) -> Thread:
        return "old" if await gateway.has_thread(pk) else "new"

    async def write(self, claim: Claim, gateway: Gateway, pk: str) -> WriteResult:
        receipt = await gateway.send_dm(pk, claim.text, write_id(claim))
        return dm_result(receipt)

    async def find(
        self, claim: Claim, gateway: Gateway, pk: str, search: SearchContext
    ) -> WriteResult | None:
        receipt = await gateway.find_dm(
            pk,
            write_id(claim),
            claim.text,
            search.age_ms,
            search.owned_by_others,
            search.lost,
            search.report,
        )
        return None if receipt is None else dm_result(receipt)


def dm_result(receipt: DmReceipt) -> WriteResult:
    """The result of a job whose DM Instagram has stored."""
    result = {
        "message_id": receipt.message_id,
        "thread_id": receipt.thread_id,
        "client_context": receipt.client_context,
    }
    return WriteResult(result, "" if receipt.by_token else receipt.message_id)


class Comment(SingleRequestWrite):
    """A comment on one post."""

    async def target(self, claim: Claim, _gateway: Gateway, _user_ids: UserIdCache) -> str:
        """The post's pk, computed from its shortcode or id."""
        return media_pk(claim.job.post)

    def context(self, _claim: Claim) -> str:
        """Instagram does not return the token that a comment was sent with."""
        return ""

    async def thread(self, _gateway: Gateway, _pk: str) -> Thread:
        return ""

    async def write(self, claim: Claim, gateway: Gateway, pk: str) -> WriteResult:
        receipt = await gateway.comment(pk, claim.text, write_id(claim))
        return _comment_result(receipt)

    async def find(
        self, claim: Claim, gateway: Gateway, pk: str, search: SearchContext
    ) -> WriteResult | None:
        receipt = await gateway.find_comment(
            pk, claim.text, search.age_ms, search.owned_by_others, search.report
        )
        return None if receipt is None else _comment_result(receipt)


def _comment_result(receipt: CommentReceipt) -> WriteResult:
    return WriteResult({"comment_id": receipt.comment_id}, receipt.comment_id)


WRITES: Final[Mapping[str, JobWrite]] = {"dm": DirectMessage(), "comment": Comment()}
