"""A DM that is a photo: loaded, uploaded, and sent into an existing thread."""

from __future__ import annotations

from functools import partial
from typing import Final

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
from service.jobs.photo_store import PhotoStore

_THREAD_REQUIRED: Final = ErrorPolicy(
    Outcome.FINAL,
    "thread_required",
    "A photo can only be sent into an existing conversation, and the account has none with the"
    " recipient: send a text first.",
)
#: An uploaded photo is lost; one by URL is fetched again, outside of the turn.
_UPLOAD_GONE: Final = ErrorPolicy(
    Outcome.FINAL, "photo_gone", "The photo is no longer stored: create a new job with the photo."
)
_FETCHED_GONE: Final = ErrorPolicy(Outcome.RETRY, "photo_gone", "The photo is no longer stored.")


class PhotoMessage(DirectMessage):
    """A photo to one recipient, on behalf of one claim.

    Parameters:
      photos: The stored photos.
    """

    def __init__(self, photos: PhotoStore) -> None:
        self._photos = photos
        self._jpeg = b""
        self._thread_id = ""
        self._media_id = ""

    async def prepare(self, claim: Claim, gateway: Gateway, pk: str) -> None:
        """Load the photo and find the thread that it goes into."""
        self._jpeg = await self._load(claim)
        thread_id = await gateway.call(partial(photos.photo_thread_id, pk=pk))
        if thread_id is None:
            raise ClassifiedError(_THREAD_REQUIRED)
        self._thread_id = thread_id

    async def _load(self, claim: Claim) -> bytes:
        jpeg = await self._photos.load(claim)
        if jpeg is None:
            raise ClassifiedError(_FETCHED_GONE if claim.text else _UPLOAD_GONE)
        return jpeg

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
            pk,
            write_id(claim),
            None,
            search.age_ms,
            search.owned_by_others,
            search.lost,
            search.report,
        )
        return None if receipt is None else dm_result(receipt)


def write_for(claim: Claim, photos: PhotoStore) -> JobWrite:
    """The write of a job.

    Parameters:
      claim: The claim of a job that writes.
      photos: The stored photos.
    """
    return PhotoMessage(photos) if claim.job.photo else WRITES[claim.job.kind]
