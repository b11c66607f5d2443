"""Counts the commands that processes send to a store, as its server sees them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping

import redis


def commands_a_second(url: str, seconds: float) -> Mapping[str, float]:
    """Monitor a store for a while.

    Parameters:
      url: The store; only the measured processes are connected to it.
      seconds: For how long.

    Returns:
      By command, how often it came in a second; what scripts do inside the server is no round trip.
    """
    counts: Counter[str] = Counter()
    with redis.Redis.from_url(url) as client, client.monitor() as monitor:
        began = time.monotonic()
        alarm = threading.Timer(seconds, _wake, [url])
        alarm.start()
        while time.monotonic() - began < seconds:
            command = monitor.next_command()
            if command["client_type"] != "lua":
                counts[command["command"].split()[0].upper()] += 1
        alarm.join()
    counts.subtract(["ECHO"])
    return {name: count / seconds for name, count in sorted(counts.items()) if count > 0}


def _wake(url: str) -> None:
    """Send one more command, so that the monitor notices the time."""
    with redis.Redis.from_url(url) as client:
        client.echo("over")
