"""Waiting on conditions, and ports to listen on."""

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
      condition: Asked until what it returns is true.
      seconds: How long to go on asking, before `deadline_factor`.
      what: What is waited for, for the error.

    Returns:
      What the condition returned at last.

    Raises:
      TimeoutError: It did not come true in time.
    """
    seconds *= deadline_factor
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what or condition} did not come about within {seconds:g} s")
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
    """A port that nobody uses now, and that no connection is given before it is listened on.

    Linux gives outgoing connections ports from 32,768 on (`ip_local_port_range`): of those, one
    that was free a moment ago may be somebody's when a process has started.
    """
    while True:
        port = random.SystemRandom().randrange(*_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue  # taken: another one
            return port
