"""Tokens that make a write recognisable: the same write always carries the same ones.

Instagram is not known to refuse a repeated token; it is what a look-up matches by.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

# The range aiograpi draws its own from (`Client.generate_mutation_token`).
_LOWEST: Final = 6800011111111111111
_HIGHEST: Final = 6800099999999999999
_CONTEXT: Final = re.compile(r"68000\d{14}")

_CREATION: Final = uuid.uuid5(uuid.NAMESPACE_URL, "heliograph:comment")

_current: ContextVar[str | None] = ContextVar("write", default=None)


@contextmanager
def write_token(token: str) -> Iterator[None]:
    """Make the block one write: its tokens derive from `token`, its connection is fresh.

    Parameters:
      token: Names the write (`job_x:1`). Seen by this task only, however many run at once.
    """
    mark = _current.set(token)
    try:
        yield
    finally:
        _current.reset(mark)


def current_token() -> str | None:
    """Tell which write this task is in; None outside of one."""
    return _current.get()


def client_context_for(token: str) -> str:
    """Derive a DM's `client_context`.

    Parameters:
      token: Names the write. One that already is a `client_context` stays as it is.

    Returns:
      Nineteen digits, in the client library's own range.
    """
    if is_client_context(token):
        return token
    digest = int.from_bytes(hashlib.sha256(token.encode()).digest(), "big")
    return str(_LOWEST + digest % (_HIGHEST - _LOWEST + 1))


def is_client_context(value: str) -> bool:
    """Tell whether a value has the form this client gives to a `client_context`."""
    return _CONTEXT.fullmatch(value) is not None


def creation_key_for(token: str) -> str:
    """Derive a comment's `idempotence_token`, a UUID."""
    return str(uuid.uuid5(_CREATION, token))
