"""One call of a script, as the wrappers make it and any runner sends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

Argument = str | bytes | float

T = TypeVar("T")


class ScriptCall(NamedTuple, Generic[T]):
    """What to run and how to read its reply. Making one does no I/O.

    Parameters:
      name: The script's file name without `.lua`.
      args: Its ARGV.
      parse: Turns the store's reply (bytes, ints and lists of them) into what the caller gets.
    """

    name: str
    args: tuple[Argument, ...]
    parse: Callable[[Any], T]


def word(reply: bytes) -> Any:
    """Read a reply of one word; each wrapper's annotation names the words there are."""
    return reply.decode()


def hash_of(flat: list[bytes]) -> dict[bytes, bytes]:
    """Read a hash that a script replies as name, value, name, value ..."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
