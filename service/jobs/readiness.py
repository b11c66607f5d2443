"""Whether events would be accepted now, found by doing what accepting one needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.probe_store import probe_store
from service.jobs.lua.runner import Scripts
from service.jobs.store_rights import missing_rights, samples_of_script
from service.redis.causes import cause_of
from service.redis.client import REDIS_ERRORS

#: How long a result is good for.
VALID_SECONDS: Final = 1.0
#: How long a probe may take; a replica or the disk may need most of that (durability.py).
PROBE_SECONDS: Final = 2.5
#: What accepting an event runs.
ACCEPTING: Final = tuple(samples_of_script("accept_events"))
_MOST_NAMED: Final = 8


class Readiness:
    """Probes the store, at most once a second and one probe at a time.

    Parameters:
      client: The event loop's Redis client.
      script_config: What the scripts work with.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._scripts = Scripts(client, script_config)
        self._probe: asyncio.Task[str | None] | None = None
        self._probed_at = -VALID_SECONDS
        self._found: str | None = None

    async def refusal(self) -> str | None:
        """Why events would be refused, in words; None if they would be accepted."""
        if time.monotonic() - self._probed_at < VALID_SECONDS:
            return self._found
        if self._probe is None:
            self._probe = asyncio.create_task(self._run_probe())
        # The caller may go away, and others wait for the same probe.
        return await asyncio.shield(self._probe)

    async def _run_probe(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                problems = await self._scripts.run(probe_store(*ACCEPTING))
            self._found = describe(problems, ACCEPTING)
        except REDIS_ERRORS as error:
            self._found = cause_of(error).text
        finally:
            self._probed_at, self._probe = time.monotonic(), None
        return self._found


def describe(problems: Sequence[tuple[str, ...]], wanted: Sequence[str]) -> str | None:
    """Say what stands in the way; None for nothing.

    Parameters:
      problems: Replied by probe_store.lua.
      wanted: The commands that it was to check.
    """
    if not problems:
        return None
    forbidden = [problem[1] for problem in problems if problem[0] == "right"]
    if forbidden:
        rights = _some(missing_rights(forbidden, wanted))
        return f"the user in REDIS_URL lacks rights, in terms of ACL SETUSER: {rights}"
    keys = [f"{key} ({kind})" for _, key, kind in problems]
    return f"keys of Heliograph hold what another application has stored: {_some(keys)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
