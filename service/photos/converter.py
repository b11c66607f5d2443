"""Converts photos in subprocesses, one photo each, a few at a time.

A process that has decoded untrusted bytes is never used again, its resource limits apply to one
photo, and none runs while nobody sends photos. Starting one takes about 0.15 s.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from service.photos.photo import MAX_PIXELS, Photo, PhotoRefused
from service.photos.spooled_file import SpooledFile
from service.process.limited_subprocess import run_limited

#: The longer side of the JPEG that is sent, in pixels.
MAX_SIDE: Final = 1440
#: Size of the JPEG that is stored and sent.
MAX_JPEG_BYTES: Final = 1024 * 1024

LIMITS: Final[Mapping[str, int]] = {
    "pixels": MAX_PIXELS,
    "side": MAX_SIDE,
    "jpeg_bytes": MAX_JPEG_BYTES,
    "output_bytes": MAX_JPEG_BYTES + 1024,
    "memory_bytes": 384 * 1024 * 1024,
    "cpu_seconds": 10,
    "seconds": 15,
}
#: The program of the subprocesses.
PROGRAM: Final = str(Path(__file__).with_name("converter_subprocess.py"))


class ConverterBusy(Exception):
    """So many photos are pending that one more would wait too long."""


class ConversionFailed(Exception):
    """The subprocess could not work, whatever the photo."""


class PhotoConverter:
    """Checks photos and converts them to JPEG.

    Parameters:
      processes: The most subprocesses at a time.
      max_pending: The most photos being received, waiting or being converted.
      limits: Like LIMITS.
      program: Path of the Python file that the subprocesses run.
    """

    def __init__(
        self,
        processes: int = 1,
        max_pending: int = 16,
        limits: Mapping[str, int] = LIMITS,
        program: str = PROGRAM,
    ) -> None:
        self._processes = asyncio.Semaphore(processes)
        self._free_places = max_pending
        self._limits = dict(limits)
        self._program = program

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Reserve a place for one photo, before its first byte is read.

        Raises:
          ConverterBusy: Too many photos are pending.
        """
        if self._free_places <= 0:
            raise ConverterBusy
        self._free_places -= 1
        try:
            yield
        finally:
            self._free_places += 1

    async def convert(self, incoming: SpooledFile) -> Photo:
        """Check a photo and convert it to the JPEG that is sent.

        Parameters:
          incoming: The finished file.

        Raises:
          PhotoRefused: The photo cannot be sent.
          ConversionFailed: No subprocess could be started, or it failed whatever the photo.
        """
        with tempfile.TemporaryFile() as result:
            async with self._processes:
                code = await self._run(incoming.file, result)
            if code < 0:
                raise PhotoRefused("photo_too_demanding")
            if code > 0:
                raise ConversionFailed(f"the subprocess exited with code {code}")
            result.seek(0)
            header, jpeg = _read_header(result), result.read()
        if "error" in header:
            raise PhotoRefused(str(header["error"]))
        return Photo(jpeg, int(header["width"]), int(header["height"]), incoming.sha256)

    async def _run(self, source: IO[bytes], result: IO[bytes]) -> int:
        """Convert one file in a subprocess; its exit code, negative if it was killed."""
        try:
            return await run_limited(self._program, self._limits, source, result)
        except OSError as error:
            raise ConversionFailed(type(error).__name__) from error


def _read_header(result: IO[bytes]) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(result.readline())
    except ValueError as error:
        raise ConversionFailed("the subprocess returned no result") from error
    return header
