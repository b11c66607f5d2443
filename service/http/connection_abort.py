"""Lets the application abort a connection.

Closing one waits until the peer has read all that was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.types import Scope

_EXTENSION: Final = "heliograph.abort"


def abort_callback(scope: Scope) -> Callable[[], None]:
    """Return a function that aborts the request's connection; it does nothing on other servers."""
    extension: dict[str, Callable[[], None]] = (scope.get("extensions") or {}).get(_EXTENSION, {})
    return extension.get("abort", lambda: None)


def abort_extension(transport: asyncio.Transport) -> dict[str, Any]:
    """The ASGI extension that `abort_callback` reads.

    Parameters:
      transport: Of the request's connection.
    """
    return {_EXTENSION: {"abort": transport.abort}}
