"""Session files: limited in size when read, readable by the owner only when written."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Final

#: Means stdin or stdout.
STANDARD_STREAM: Final = "-"


class FileUnusable(Exception):
    """A file cannot be read or written; the message names it and says why."""


class FileExists(Exception):
    """The file exists, and `force` is not set."""


def read_file(name: str, limit: int) -> bytes:
    """Read a file, or stdin for `-`.

    Parameters:
      name: Path of the file.
      limit: The maximum size in bytes.

    Returns:
      At most `limit` + 1 bytes, so that the caller notices a larger file.

    Raises:
      FileUnusable: The file cannot be read.
    """
    try:
        if name == STANDARD_STREAM:
            return sys.stdin.buffer.read(limit + 1)
        with Path(name).open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise FileUnusable(f"{name}: {error.strerror or 'cannot be read'}") from None


def write_secret(name: str, text: str, *, force: bool) -> None:
    """Write a file that only its owner may read (mode 0600), or to stdout for `-`.

    Parameters:
      name: Path of the file.
      text: Its content.
      force: Replace an existing file atomically.

    Raises:
      FileExists: The file exists and `force` is not set.
      FileUnusable: The file cannot be written.
    """
    try:
        if name == STANDARD_STREAM:
            sys.stdout.write(text)
            sys.stdout.flush()
        elif force:
            _replace(Path(name), text.encode())
        else:
            _create(Path(name), text.encode())
    except FileExistsError:
        raise FileExists(f"{name} exists: use another name, or add --force") from None
    except OSError as error:
        raise FileUnusable(f"{name}: {error.strerror or 'cannot be written'}") from None


def _create(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _replace(path: Path, content: bytes) -> None:
    # Not written in place, which would keep the old mode. Devices such as /dev/null are not
    # replaced.
    if path.exists() and not path.is_file():
        raise OSError(None, "is not a regular file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _create(temporary, content)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
