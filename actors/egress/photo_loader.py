"""The photo of a job: stored with it, or downloaded, converted and stored now."""

from __future__ import annotations

from typing import Final

from actors.egress.photo_download import PhotoDownloader
from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError
from service.jobs.claims import Claim
from service.jobs.photo_store import PhotoStore
from service.logging.setup import get_logger
from service.photos.converter import ConversionFailed, PhotoConverter
from service.photos.photo import Photo, PhotoRefused
from service.photos.spooled_file import SpooledFile

_EXPIRED: Final = ErrorPolicy(
    Outcome.FINAL, "photo_gone", "The photo is no longer kept: make a new job with it."
)
_PROCESSING_FAILED: Final = ErrorPolicy(
    Outcome.RETRY, "photo_not_taken", "This worker could not look at the photo: see its log."
)

_log = get_logger(__name__)


class PhotoLoader:
    """Gives the photos of jobs as they are sent.

    Parameters:
      photos: What is kept of them.
      fetcher: Gets those that come by URL.
      darkroom: Develops these.
    """

    def __init__(
        self, photos: PhotoStore, downloader: PhotoDownloader, converter: PhotoConverter
    ) -> None:
        self._photos = photos
        self._downloader = downloader
        self._converter = converter

    async def load(self, claim: Claim) -> bytes:
        """The JPEG that a job sends; one that is fetched now is kept for later attempts.

        Parameters:
          claim: The claim, before its write.

        Raises:
          Judged: There is none; it says why, and whether there may be one later.
        """
        kept = await self._photos.load(claim)
        if kept is not None:
            return kept
        if not claim.text:
            raise ClassifiedError(_EXPIRED)
        photo = await self._download(claim.text)
        await self._photos.save(claim, photo)
        return photo.jpeg

    async def _download(self, url: str) -> Photo:
        try:
            with SpooledFile() as incoming:
                await self._downloader.download(url, incoming)
                return await self._converter.convert(incoming)
        except PhotoRefused as refused:
            what = f"The photo {refused.message}."
            raise ClassifiedError(ErrorPolicy(Outcome.FINAL, refused.code, what)) from None
        except (ConversionFailed, OSError) as error:
            _log.error("photo not taken", cause=type(error).__name__, detail=str(error)[:200])
            raise ClassifiedError(_PROCESSING_FAILED) from None
