"""Counts the ledger's scripts as the server runs them, by name."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from service.jobs.lua.builder import ScriptConfig, script_library


@contextmanager
def counted_scripts(url: str, script_config: ScriptConfig) -> Iterator[Counter[str]]:
    """Count until the block ends.

    Parameters:
      url: The server.
      script_config: What the processes under test run with: it is part of the scripts' names.
    """
    release = script_library(script_config).release
    counts: Counter[str] = Counter()
    stopped = threading.Event()
    with redis.Redis.from_url(url) as client, client.monitor() as monitor:

        def follow() -> None:
            while not stopped.is_set():
                words = monitor.next_command()["command"].split()
                if words[0].upper() == "FCALL":
                    _, owner, name = words[1].split("_", 2)
                    counts[name] += owner == release

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        yield counts
        stopped.set()
        client_of_its_own = redis.Redis.from_url(url)
        client_of_its_own.ping()  # one more command, so that the follower looks up
        client_of_its_own.close()
        thread.join()
