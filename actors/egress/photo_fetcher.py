"""Fetches photos by URL: downloaded, checked and converted, a few at a time.

A fetch may take as long as a server likes, up to the download's limit. So each origin has a few
slots, and who finds none in a moment gives up for now: one slow server does not keep the photos of
others waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from actors.egress.origin_limiter import OriginBusy, OriginLimiter
from actors.egress.photo_download import PhotoDownloader
from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError
from service.logging.setup import get_logger
from service.photos.converter import ConversionFailed, PhotoConverter
from service.photos.photo import Photo, PhotoRefused
from service.photos.spooled_file import SpooledFile

#: Fetches at a time, whose spooled files may take as many times 8 MiB of disk.
MAX_CONCURRENT: Final = 16
#: Of these, for one origin.
MAX_PER_ORIGIN: Final = 4
#: How many more may wait for an origin whose pace is unknown.
INITIAL_WAITING: Final = 4
#: Under way or waiting over all origins; beyond that each origin may still have one.
MAX_USERS: Final = 2 * MAX_CONCURRENT
#: The longest wait for a slot.
WAIT_SECONDS: Final = 2.0

_PROCESSING_FAILED: Final = ErrorPolicy(
    Outcome.RETRY,
    "photo_processing_failed",
    "This worker could not process the photo: see its log.",
)

_log = get_logger(__name__)


class PhotoFetcher:
    """Fetches photos, ready to be sent.

    Parameters:
      downloader: Downloads them.
      converter: Converts them to what Instagram takes.
      wait_seconds: The longest wait for a slot.
    """

    def __init__(
        self,
        downloader: PhotoDownloader,
        converter: PhotoConverter,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._downloader = downloader
        self._converter = converter
        self._wait_seconds = wait_seconds
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._origins = OriginLimiter(MAX_PER_ORIGIN, INITIAL_WAITING, wait_seconds, MAX_USERS)

    async def fetch(self, url: str) -> Photo:
        """Fetch one photo.

        Raises:
          OriginBusy: Too many fetches are under way, from its origin or from all.
          ClassifiedError: It cannot be had; the error says why, and whether a retry may help.
        """
        async with self._origins.slot(self._downloader.origin(url)), self._slot():
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

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise OriginBusy from None
        try:
            yield
        finally:
            self._slots.release()
