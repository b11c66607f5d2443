"""Waiting for conditions, and choosing free ports."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_BELOW_EPHEMERAL: Final = (12_000, 32_000)


def until(condition: Callable[[], T | None], seconds: float = 30, what: str = "") -> T:
    """Wait for a condition.

    Parameters:
      condition: Called every 20 ms until it returns a true value.
      seconds: Time limit.
      what: What is waited for, for the error message.

    Returns:
      The condition's first true value.

    Raises:
      TimeoutError: The condition did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what or condition} did not happen within {seconds:g} s")
        time.sleep(0.02)


def free_port() -> int:
    """Return an unused port below the range of outgoing connections.

    Linux assigns ports from 32,768 on to outgoing connections (`ip_local_port_range`); a free one
    of those may be taken before a process listens on it.
    """
    while True:
        port = random.SystemRandom().randrange(*_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue  # in use
            return port
