"""A photo while it comes in: on disk, hashed, and no larger than it may be."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from typing import IO, Final, Self

from service.photos.photo import MAX_PHOTO_BYTES, PhotoRefused

#: So much of a photo is in memory at a time.
_BATCH_BYTES: Final = 256 * 1024


class SpooledFile:
    """A nameless file that is gone when it is closed; use as a context manager.

    Raises:
      OSError: There is no room for it.
    """

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self.size = 0
        self._waiting = bytearray()
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def sha256(self) -> str:
        """Of what has come so far, in hex."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Take in the next bytes.

        Raises:
          PhotoRefused: They are more than a photo may have.
        """
        self.size += len(data)
        if self.size > MAX_PHOTO_BYTES:
            raise PhotoRefused("photo_too_large")
        self._hash.update(data)
        self._waiting += data

    async def flush(self, least: int = _BATCH_BYTES) -> None:
        """Write down what waits for it, off the loop.

        Parameters:
          least: Fewer bytes are left waiting.
        """
        if len(self._waiting) >= least:
            batch, self._waiting = self._waiting, bytearray()
            await asyncio.to_thread(self.file.write, batch)

    async def finish(self) -> None:
        """Write down the rest; the file is at its beginning then."""
        await self.flush(0)
        await asyncio.to_thread(self.file.seek, 0)
