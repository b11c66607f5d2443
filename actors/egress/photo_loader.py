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
    Outcome.FINAL,
    "photo_gone",
    "The photo is no longer stored: create a new job with the photo.",
)
_PROCESSING_FAILED: Final = ErrorPolicy(
    Outcome.RETRY,
    "photo_processing_failed",
    "This worker could not process the photo: see its log.",
)

_log = get_logger(__name__)


class PhotoLoader:
    """Loads the photos of jobs, ready to be sent.

    Parameters:
      photos: The photos stored so far.
      downloader: Downloads those given by URL.
      converter: Converts these to what Instagram takes.
    """

    def __init__(
        self, photos: PhotoStore, downloader: PhotoDownloader, converter: PhotoConverter
    ) -> None:
        self._photos = photos
        self._downloader = downloader
        self._converter = converter

    async def load(self, claim: Claim) -> bytes:
        """Return the JPEG that a job sends; a downloaded one is stored for later attempts.

        Parameters:
          claim: The claim, before its write.

        Raises:
          ClassifiedError: There is no photo; it says why, and whether a retry may help.
        """
        stored = await self._photos.load(claim)
        if stored is not None:
            return stored
        if not claim.text:
            raise ClassifiedError(_EXPIRED)
        photo = await self._download(claim.text)
        await self._photos.save(claim, photo)
        return photo.jpeg

    async def _download(self, url: str) -> Photo:
        try:
            with SpooledFile() as spooled:
                await self._downloader.download(url, spooled)
                return await self._converter.convert(spooled)
        except PhotoRefused as refused:
            message = f"The photo {refused.message}."
            raise ClassifiedError(ErrorPolicy(Outcome.FINAL, refused.code, message)) from None
        except (ConversionFailed, OSError) as error:
            _log.error(
                "photo processing failed", error=type(error).__name__, detail=str(error)[:200]
            )
            raise ClassifiedError(_PROCESSING_FAILED) from None
