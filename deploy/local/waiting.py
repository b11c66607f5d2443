"""Waiting on conditions, and ports to listen on."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T | None], seconds: float = 30, what: str = "") -> T:
    """Wait for a condition.

    Parameters:
      condition: Asked until what it returns is true.
      seconds: How long to go on asking.
      what: What is waited for, for the error.

    Returns:
      What the condition returned at last.

    Raises:
      TimeoutError: It did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what or condition} did not come about within {seconds:g} s")
        time.sleep(0.02)


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
