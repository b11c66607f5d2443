"""Idempotency tokens: the same write always carries the same token.

Instagram is not known to reject a repeated token; verification matches by it.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

# The range from which aiograpi draws its tokens (`Client.generate_mutation_token`).
_LOWEST: Final = 6800011111111111111
_HIGHEST: Final = 6800099999999999999
_OWN_CONTEXT: Final = re.compile(r"68000\d{14}")

_COMMENT_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "heliograph:comment")

_current_token: ContextVar[str | None] = ContextVar("write_token", default=None)


@contextmanager
def write_token(token: str) -> Iterator[None]:
    """Make the block one write: its tokens derive from `token`, its connection is fresh.

    Parameters:
      token: Identifies the write (`job_x:1`). Concurrent tasks do not see it.
    """
    mark = _current_token.set(token)
    try:
        yield
    finally:
        _current_token.reset(mark)


def current_token() -> str | None:
    """The token of the write this task is in; None outside a write."""
    return _current_token.get()


def client_context_for(token: str) -> str:
    """Derive a DM's `client_context` from the write's token.

    Parameters:
      token: Identifies the write. A `client_context` is returned unchanged.

    Returns:
      19 digits, in the client library's range.
    """
    if is_client_context(token):
        return token
    digest = int.from_bytes(hashlib.sha256(token.encode()).digest(), "big")
    return str(_LOWEST + digest % (_HIGHEST - _LOWEST + 1))


def is_client_context(value: str) -> bool:
    """Whether a value has the form of this client's `client_context`."""
    return _OWN_CONTEXT.fullmatch(value) is not None


def creation_key_for(token: str) -> str:
    """Derive a comment's `idempotence_token`, a UUID, from the write's token."""
    return str(uuid.uuid5(_COMMENT_NAMESPACE, token))
