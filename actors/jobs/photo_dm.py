"""A DM that is a photo: loaded or downloaded, uploaded, and sent into an existing thread."""

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
    "A photo can only be sent into an existing conversation, and the account has none with the"
    " recipient: send a text first.",
)


class PhotoMessage(DirectMessage):
    """A photo to one recipient, on behalf of one claim.

    Parameters:
      photo_loader: Loads the photo.
    """

    def __init__(self, photo_loader: PhotoLoader) -> None:
        self._photo_loader = photo_loader
        self._jpeg = b""
        self._thread_id = ""
        self._media_id = ""

    async def prepare(self, claim: Claim, gateway: Gateway, pk: str) -> None:
        """Load the photo and find the thread that it goes into."""
        self._jpeg = await self._photo_loader.load(claim)
        thread_id = await gateway.call(partial(photos.photo_thread_id, pk=pk))
        if thread_id is None:
            raise ClassifiedError(_THREAD_REQUIRED)
        self._thread_id = thread_id

    async def upload(self, gateway: Gateway) -> None:
        """Upload the photo, which shows it to nobody yet."""
        self._media_id = await gateway.call(partial(photos.upload, jpeg=self._jpeg))

    async def write(self, claim: Claim, gateway: Gateway, _pk: str) -> WriteResult:
        """Send the uploaded photo."""
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
        """Read the thread; a photo has no text to compare."""
        receipt = await gateway.find_dm(
            pk, write_id(claim), None, search.age_ms, search.owned_by_others
        )
        return None if receipt is None else dm_result(receipt)


def write_for(claim: Claim, photo_loader: PhotoLoader) -> JobWrite:
    """The write of a job.

    Parameters:
      claim: The claim of a job that writes.
      photo_loader: Loads photos.
    """
    return PhotoMessage(photo_loader) if claim.job.photo else WRITES[claim.job.kind]
