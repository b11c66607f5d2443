"""The files that sessions travel in: bounded on the way in, for one pair of eyes on the way out."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Final

#: Stands for stdin and stdout.
STREAM: Final = "-"


class FileUnusable(Exception):
    """A file cannot be read or written; the message names it and says why."""


class FileExists(Exception):
    """There is a file already, and nobody said that it may go."""


def read_file(name: str, limit: int) -> bytes:
    """Read a file, or stdin for `-`.

    Parameters:
      name: Of the file.
      limit: How many bytes matter.

    Returns:
      At most `limit` + 1 bytes, so that more than `limit` is noticed.

    Raises:
      FileUnusable: It cannot be read.
    """
    try:
        if name == STREAM:
            return sys.stdin.buffer.read(limit + 1)
        with Path(name).open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise FileUnusable(f"{name}: {error.strerror or 'it cannot be read'}") from None


def write_secret(name: str, text: str, *, force: bool) -> None:
    """Write a file that only its owner may read (mode 0600), or to stdout for `-`.

    Parameters:
      name: Of the file.
      text: All that will be in it.
      force: Replace a file that is there, whole or not at all.

    Raises:
      FileExists: There is a file of that name, and no `force`.
      FileUnusable: It cannot be written.
    """
    try:
        if name == STREAM:
            sys.stdout.write(text)
            sys.stdout.flush()
        elif force:
            _replace(Path(name), text.encode())
        else:
            _create(Path(name), text.encode())
    except FileExistsError:
        raise FileExists(f"{name} exists: name another file, or add --force") from None
    except OSError as error:
        raise FileUnusable(f"{name}: {error.strerror or 'it cannot be written'}") from None


def _create(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _replace(path: Path, content: bytes) -> None:
    # In place it would keep the mode it has; and /dev/null must stay what it is.
    if path.exists() and not path.is_file():
        raise OSError(None, "it is no regular file")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _create(beside, content)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
