"""`heliograph doctor`: is the store set up for what is promised, and is every job on its way?

    heliograph doctor [--repair]

Reads the same environment as the processes and may run beside them. Every record and every index
is looked at. `--repair` wakes what nothing would ever wake, corrects indexes and opens callbacks
that are owed and missing; it never changes how a job ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.config.config import ConfigError, load_config
from service.config.settings import SettingsError, load_settings
from service.jobs.consistency_check import Examination
from service.jobs.consistency_problems import Defect, Outcome
from service.jobs.lua.builder import ScriptConfig
from service.redis.client import REDIS_ERRORS, async_client

OK, FOUND_PROBLEMS, USAGE = 0, 1, 2
_MOST_SHOWN: Final = 20
_SUMS: Final[Mapping[Outcome, str]] = {
    "mendable": "to mend with --repair",
    "mended": "mended",
    "lost": "that cannot be mended",
}


def run(*, repair: bool) -> int:
    """Run the command.

    Parameters:
      repair: Mend what is found in the ledger.

    Returns:
      0 when all is well (or was mended), 1 when something is not, 2 for unusable
      settings.
    """
    try:
        settings = load_settings()
        script_config = ScriptConfig.of(settings, load_config(settings.config_path))
    except (SettingsError, ConfigError) as error:
        for problem in error.problems:
            print(f"cannot look: {problem}", file=sys.stderr)
        return USAGE
    try:
        return asyncio.run(_examine(settings.redis_url, script_config, repair))
    except REDIS_ERRORS as error:
        print(f"Redis does not answer: {type(error).__name__}", file=sys.stderr)
        return FOUND_PROBLEMS


async def _examine(url: str, script_config: ScriptConfig, repair: bool) -> int:
    client = async_client(url, max_connections=2)
    try:
        facts = await _store_facts(client)
        complaints = list(_complaints(facts))
        for complaint in complaints:
            print(f"store: {complaint}")
        if not _is_primary(facts):
            return FOUND_PROBLEMS  # what is read here may be old, and nothing can be mended
        tally = await _report(Examination(client, script_config).defects(repair=repair))
    finally:
        await client.aclose()
    if not complaints and not tally:
        print("ok: the store keeps what is promised, and every job is on its way")
    return FOUND_PROBLEMS if complaints or tally.total() > tally["mended"] else OK


async def _report(defects: AsyncIterator[Defect]) -> Counter[Outcome]:
    """Print the first defects and how many more there are; how many there are of each outcome."""
    tally: Counter[Outcome] = Counter()
    async for defect in defects:
        if tally.total() < _MOST_SHOWN:
            print(f"ledger: {defect}")
        tally[defect.outcome] += 1
    if tally.total() > _MOST_SHOWN:
        counts = ", ".join(f"{count} {_SUMS[outcome]}" for outcome, count in tally.items())
        print(f"ledger: ... and {tally.total() - _MOST_SHOWN} more; in all {counts}")
    return tally


async def _store_facts(client: aredis.Redis) -> Mapping[str, str]:
    """What INFO says, and what CONFIG says where the provider lets us ask."""
    facts = {name: str(value) for name, value in (await client.info()).items()}
    try:
        reply = await cast("Awaitable[Any]", client.config_get("appendfsync"))
        facts["appendfsync"] = str(reply.get("appendfsync", ""))
    except aredis.ResponseError:
        facts["appendfsync"] = "unknown"
    return facts


def _is_primary(facts: Mapping[str, str]) -> bool:
    return facts.get("role") == "master"


def _complaints(facts: Mapping[str, str]) -> Iterator[str]:
    if int(facts.get("redis_version", "0").partition(".")[0]) < 7:
        yield f"Redis {facts.get('redis_version')} is too old: 7.0 or Valkey is needed"
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield f"maxmemory-policy is {policy}: set noeviction, or jobs vanish when memory is short"
    if not _is_primary(facts):
        yield "this is a replica: REDIS_URL must name the primary"
    if facts.get("aof_enabled") != "1":
        yield "appendonly is off: a crash of Redis loses what was acknowledged"
    elif facts["appendfsync"] not in ("always", "unknown"):
        yield (
            f"appendfsync is {facts['appendfsync']}: a crash of Redis may lose the last second of"
            " what was acknowledged (always keeps it)"
        )
