"""A photo being received: written to disk, hashed, and limited in size."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from typing import IO, Final, Self

from service.photos.photo import MAX_PHOTO_BYTES, PhotoRefused

#: How much of a photo is buffered in memory before it is written.
_BATCH_BYTES: Final = 256 * 1024


class SpooledFile:
    """A temporary file without a name, deleted when it is closed; use as a context manager.

    Raises:
      OSError: There is no space for it.
    """

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self.size = 0
        self._buffer = bytearray()
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def sha256(self) -> str:
        """Hash of the bytes so far, in hex."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Buffer the next bytes.

        Raises:
          PhotoRefused: The photo is too large.
        """
        self.size += len(data)
        if self.size > MAX_PHOTO_BYTES:
            raise PhotoRefused("photo_too_large")
        self._hash.update(data)
        self._buffer += data

    async def flush(self, min_bytes: int = _BATCH_BYTES) -> None:
        """Write the buffer to disk in a thread.

        Parameters:
          min_bytes: Do nothing while fewer bytes are buffered.
        """
        if len(self._buffer) >= min_bytes:
            batch, self._buffer = self._buffer, bytearray()
            await asyncio.to_thread(self.file.write, batch)

    async def finish(self) -> None:
        """Write the rest, and rewind the file."""
        await self.flush(0)
        await asyncio.to_thread(self.file.seek, 0)
