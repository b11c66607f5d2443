"""What a job does at Instagram: a DM or a comment; each knows its target, write and trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from actors.instagram.gateway import Gateway
from actors.instagram.tokens import SecondsLeft, client_context_for
from service.accounts.people import People
from service.jobs.claims import Claim


class Action(Protocol):
    """One kind of job."""

    async def target(self, claim: Claim, gateway: Gateway, people: People) -> str:
        """The pk of whom or what the write is for."""

    def context(self, claim: Claim) -> str:
        """What the write can be recognised by; '' where text and time must do."""

    async def write(
        self, claim: Claim, gateway: Gateway, pk: str, seconds_left: SecondsLeft
    ) -> dict[str, Any]:
        """Do it while there is time to begin, and return the job's result."""

    async def find(self, claim: Claim, gateway: Gateway, pk: str) -> dict[str, Any] | None:
        """The result of an earlier write of this job; None when Instagram shows none."""


def token_of(claim: Claim) -> str:
    """Names the job's one write, the same in every attempt and run."""
    return f"{claim.id}:1"


class DirectMessage:
    """A DM to one recipient."""

    async def target(self, claim: Claim, gateway: Gateway, people: People) -> str:
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
        return client_context_for(token_of(claim))

    async def write(
        self, claim: Claim, gateway: Gateway, pk: str, seconds_left: SecondsLeft
    ) -> dict[str, Any]:
        """Send it."""
        receipt = await gateway.send_dm(pk, claim.text, token_of(claim), seconds_left)
        return {
            "message_id": receipt.message_id,
            "thread_id": receipt.thread_id,
            "client_context": receipt.client_context,
        }

    async def find(self, claim: Claim, gateway: Gateway, pk: str) -> dict[str, Any] | None:
        """Read the thread."""
        receipt = await gateway.find_dm(pk, token_of(claim), claim.text, claim.job.intent_ms)
        if receipt is None:
            return None
        return {
            "message_id": receipt.message_id,
            "thread_id": receipt.thread_id,
            "client_context": receipt.client_context,
        }


class Comment:
    """A comment on one post."""

    async def target(self, claim: Claim, _gateway: Gateway, _people: People) -> str:
        """The post's pk, worked out from its shortcode or id."""
        return Gateway.media_pk(claim.job.post)

    def context(self, _claim: Claim) -> str:
        """Comments do not show the token they were sent with."""
        return ""

    async def write(
        self, claim: Claim, gateway: Gateway, pk: str, seconds_left: SecondsLeft
    ) -> dict[str, Any]:
        """Post it."""
        receipt = await gateway.comment(pk, claim.text, token_of(claim), seconds_left)
        return {"comment_id": receipt.comment_id}

    async def find(self, claim: Claim, gateway: Gateway, pk: str) -> dict[str, Any] | None:
        """Read the newest comments."""
        receipt = await gateway.find_comment(pk, claim.text, claim.job.intent_ms)
        return None if receipt is None else {"comment_id": receipt.comment_id}


ACTIONS: Final[Mapping[str, Action]] = {"dm": DirectMessage(), "comment": Comment()}
