"""Where photos are decoded: in processes of their own, a few at a time, each for one photo.

A process that has seen hostile bytes is never used again, its limits are for this one photo, and
while nobody sends photos there is none. One takes about 0.15 s to start.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from service.photos.photo import MAX_PIXELS, Photo, PhotoRefused
from service.photos.spooled_file import SpooledFile

#: The longer side of what is sent, in pixels.
MAX_SIDE: Final = 1440
#: The most that is sent, and kept until then.
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
#: The child ends itself by then; this is for one that cannot.
_GRACE_SECONDS: Final = 2

#: What runs in the processes.
PROGRAM: Final = str(Path(__file__).with_name("converter_subprocess.py"))
#: What a child may know of our environment: where a platform keeps the libraries, no secret.
_KNOWN: Final = ("LD_LIBRARY_PATH",)


class ConverterBusy(Exception):
    """So many photos are under way that one more would wait too long."""


class ConversionFailed(Exception):
    """The process could not do its work at all; no fault of the photo's."""


class PhotoConverter:
    """Develops photos.

    Parameters:
      processes: How many at a time.
      room: How many photos may be under way, waiting ones included.
      limits: As LIMITS.
      program: What runs in the processes: the path of a Python file.
    """

    def __init__(
        self,
        processes: int = 1,
        room: int = 16,
        limits: Mapping[str, int] = LIMITS,
        program: str = PROGRAM,
    ) -> None:
        self._processes = asyncio.Semaphore(processes)
        self._room = room
        self._limits = dict(limits)
        self._program = program

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Be one of the photos under way, from before its first byte is read.

        Raises:
          DarkroomFull: There are as many as there may be.
        """
        if self._room <= 0:
            raise ConverterBusy
        self._room -= 1
        try:
            yield
        finally:
            self._room += 1

    async def convert(self, incoming: SpooledFile) -> Photo:
        """Check a photo and make the JPEG of it that is sent.

        Parameters:
          incoming: The file, finished.

        Raises:
          PhotoRefused: It cannot be sent.
          DarkroomFailed: There was no process, or it failed for reasons of its own.
        """
        with tempfile.TemporaryFile() as result:
            async with self._processes:
                code = await self._run(incoming.file, result)
            if code < 0:
                raise PhotoRefused("photo_too_demanding")
            if code > 0:
                raise ConversionFailed(f"the process ended with {code}")
            result.seek(0)
            head, jpeg = _reply(result), result.read()
        if "error" in head:
            raise PhotoRefused(str(head["error"]))
        return Photo(jpeg, int(head["width"]), int(head["height"]), incoming.sha256)

    async def _run(self, source: IO[bytes], result: IO[bytes]) -> int:
        """Let a child develop one file; its exit code, negative where it was ended."""
        try:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", self._program, json.dumps(self._limits)),
                stdin=source,
                stdout=result,
                stderr=DEVNULL,
                env={name: os.environ[name] for name in _KNOWN if name in os.environ},
            )
        except OSError as error:
            raise ConversionFailed(type(error).__name__) from error
        try:
            async with asyncio.timeout(self._limits["seconds"] + _GRACE_SECONDS):
                return await child.wait()
        except TimeoutError:
            return -1
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


def _reply(result: IO[bytes]) -> dict[str, Any]:
    try:
        head: dict[str, Any] = json.loads(result.readline())
    except ValueError as error:
        raise ConversionFailed("the process gave no answer") from error
    return head
