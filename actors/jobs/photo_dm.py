"""A DM that is a photo: found or fetched, uploaded, and sent into the thread that there is."""

from __future__ import annotations

from functools import partial
from typing import Final

from actors.egress.photo_loader import PhotoLoader
from actors.instagram import photos
from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError
from actors.instagram.gateway import Gateway
from actors.jobs.writes import (
    WRITES,
    DirectMessage,
    JobWrite,
    SearchContext,
    WriteResult,
    dm_result,
    write_id,
)
from service.jobs.claims import Claim

_THREAD_REQUIRED: Final = ErrorPolicy(
    Outcome.FINAL,
    "thread_required",
    "A photo can only be sent into a conversation that exists, and the account has none with the"
    " recipient: send a text first.",
)


class PhotoMessage(DirectMessage):
    """A photo to one recipient, on behalf of one claim.

    Parameters:
      lab: Where its photo comes from.
    """

    def __init__(self, lab: PhotoLoader) -> None:
        self._lab = lab
        self._jpeg = b""
        self._thread_id = ""
        self._media_id = ""

    async def prepare(self, claim: Claim, gateway: Gateway, pk: str) -> None:
        """Have the photo, and the thread that it goes into."""
        self._jpeg = await self._lab.load(claim)
        thread_id = await gateway.call(partial(photos.photo_thread_id, pk=pk))
        if thread_id is None:
            raise ClassifiedError(_THREAD_REQUIRED)
        self._thread_id = thread_id

    async def upload(self, gateway: Gateway) -> None:
        """Give the photo to Instagram, which shows it to nobody yet."""
        self._media_id = await gateway.call(partial(photos.upload, jpeg=self._jpeg))

    async def write(self, claim: Claim, gateway: Gateway, _pk: str) -> WriteResult:
        """Send it."""
        send = partial(
            photos.send,
            thread_id=self._thread_id,
            media_id=self._media_id,
            token=write_id(claim),
        )
        return dm_result(await gateway.call(send))

    async def find(
        self, claim: Claim, gateway: Gateway, pk: str, search: SearchContext
    ) -> WriteResult | None:
        """Read the thread."""
        receipt = await gateway.find_dm(pk, write_id(claim), None, search.age_ms, search.not_these)
        return None if receipt is None else dm_result(receipt)


def write_for(claim: Claim, lab: PhotoLoader) -> JobWrite:
    """What a job does.

    Parameters:
      claim: The claim.
      lab: Where photos come from.
    """
    return PhotoMessage(lab) if claim.job.photo else WRITES[claim.job.kind]
