"""A DM that is a photo: found or fetched, uploaded, and sent into the thread that there is."""

from __future__ import annotations

from functools import partial
from typing import Final

from actors.egress.photo_download import Fetcher
from actors.instagram import photos
from actors.instagram.error_policies import Outcome, Rule
from actors.instagram.errors import Judged
from actors.instagram.gateway import Gateway
from actors.jobs.writes import ACTIONS, Action, DirectMessage, Done, Search, dm_done, token_of
from service.jobs.claims import Claim
from service.jobs.photo_store import Photos
from service.logging.setup import get_logger
from service.photos.converter import Darkroom, DarkroomFailed
from service.photos.photo import Photo, PhotoRefused
from service.photos.spooled_file import Incoming

_THREAD_REQUIRED: Final = Rule(
    Outcome.FINAL,
    "thread_required",
    "A photo can only be sent into a conversation that exists, and the account has none with the"
    " recipient: send a text first.",
)
_GONE: Final = Rule(
    Outcome.FINAL, "photo_gone", "The photo is no longer kept: make a new job with it."
)
_NOT_TAKEN: Final = Rule(
    Outcome.RETRY, "photo_not_taken", "This worker could not look at the photo: see its log."
)

_log = get_logger(__name__)


class Lab:
    """Gives the photos of jobs as they are sent.

    Parameters:
      photos: What is kept of them.
      fetcher: Gets those that come by URL.
      darkroom: Develops these.
    """

    def __init__(self, photos: Photos, fetcher: Fetcher, darkroom: Darkroom) -> None:
        self._photos = photos
        self._fetcher = fetcher
        self._darkroom = darkroom

    async def photo_of(self, claim: Claim) -> bytes:
        """The JPEG that a job sends; one that is fetched now is kept for later attempts.

        Parameters:
          claim: The claim, before its write.

        Raises:
          Judged: There is none; it says why, and whether there may be one later.
        """
        kept = await self._photos.kept(claim)
        if kept is not None:
            return kept
        if not claim.text:
            raise Judged(_GONE)
        photo = await self._fetched(claim.text)
        await self._photos.keep(claim, photo)
        return photo.jpeg

    async def _fetched(self, url: str) -> Photo:
        try:
            with Incoming() as incoming:
                await self._fetcher.fetch(url, incoming)
                return await self._darkroom.develop(incoming)
        except PhotoRefused as refused:
            what = f"The photo {refused.message}."
            raise Judged(Rule(Outcome.FINAL, refused.code, what)) from None
        except (DarkroomFailed, OSError) as error:
            _log.error("photo not taken", cause=type(error).__name__, detail=str(error)[:200])
            raise Judged(_NOT_TAKEN) from None


class PhotoMessage(DirectMessage):
    """A photo to one recipient, on behalf of one claim.

    Parameters:
      lab: Where its photo comes from.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._jpeg = b""
        self._thread_id = ""
        self._media_id = ""

    async def prepare(self, claim: Claim, gateway: Gateway, pk: str) -> None:
        """Have the photo, and the thread that it goes into."""
        self._jpeg = await self._lab.photo_of(claim)
        thread_id = await gateway.call(partial(photos.thread_with, pk=pk))
        if thread_id is None:
            raise Judged(_THREAD_REQUIRED)
        self._thread_id = thread_id

    async def upload(self, gateway: Gateway) -> None:
        """Give the photo to Instagram, which shows it to nobody yet."""
        self._media_id = await gateway.call(partial(photos.upload, jpeg=self._jpeg))

    async def write(self, claim: Claim, gateway: Gateway, _pk: str) -> Done:
        """Send it."""
        send = partial(
            photos.send,
            thread_id=self._thread_id,
            media_id=self._media_id,
            token=token_of(claim),
        )
        return dm_done(await gateway.call(send))

    async def find(self, claim: Claim, gateway: Gateway, pk: str, search: Search) -> Done | None:
        """Read the thread."""
        receipt = await gateway.find_dm(pk, token_of(claim), None, search.age_ms, search.not_these)
        return None if receipt is None else dm_done(receipt)


def action_for(claim: Claim, lab: Lab) -> Action:
    """What a job does.

    Parameters:
      claim: The claim.
      lab: Where photos come from.
    """
    return PhotoMessage(lab) if claim.job.photo else ACTIONS[claim.job.kind]
