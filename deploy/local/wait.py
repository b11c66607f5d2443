"""Waiting for conditions, and choosing free ports."""

from __future__ import annotations

import random
import socket
import time
import urllib.request
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

#: Multiplies every deadline of `until`. The tests raise it: their deadlines are bounds, not
#: measurements, and they share a busy machine.
deadline_factor = 1.0

_BELOW_EPHEMERAL: Final = (12_000, 32_000)


def until(condition: Callable[[], T | None], seconds: float = 30, what: str = "") -> T:
    """Wait for a condition.

    Parameters:
      condition: Called every 20 ms until it returns a true value.
      seconds: Time limit, before `deadline_factor`.
      what: What is waited for, for the error message.

    Returns:
      The condition's first true value.

    Raises:
      TimeoutError: The condition did not become true in time.
    """
    seconds *= deadline_factor
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what or condition} did not happen within {seconds:g} s")
        time.sleep(0.02)


def is_ready(url: str) -> bool:
    """Whether a web process and its store answer.

    Parameters:
      url: Where the process listens.
    """
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


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
