"""`heliograph doctor`: checks Redis (settings, rights, a write) and the ledger's consistency.

    heliograph doctor [--repair]

Reads the same environment as the processes and may run beside them. It checks every record and
every index. `--repair` wakes stranded jobs, corrects indexes and creates missing deliveries; it
never changes how a job ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Final, cast

import redis.asyncio as aredis

from service.commands.store_checks import (
    is_replica,
    read_facts,
    setting_problems,
    work_problems,
)
from service.commands.stored_keys import count_keys, key_notes, key_problems
from service.config.config import ConfigError, load_config
from service.config.settings import Settings, SettingsError, load_settings
from service.jobs.consistency_check import ConsistencyCheck
from service.jobs.consistency_problems import Defect, Outcome
from service.jobs.lua.builder import ScriptConfig
from service.redis.causes import said_by_redis
from service.redis.client import REDIS_ERRORS, async_client
from service.time_formats.timestamps import rfc3339

OK, FOUND_PROBLEMS, USAGE = 0, 1, 2
MAX_SHOWN: Final = 20
_OUTCOME_TEXTS: Final[Mapping[Outcome, str]] = {
    "repairable": "repairable with --repair",
    "repaired": "repaired",
    "lost": "that cannot be repaired",
}


def run(*, repair: bool) -> int:
    """Run the command.

    Parameters:
      repair: Repair the ledger's problems.

    Returns:
      0 if all is well or was repaired, 1 if problems remain, 2 for invalid settings.
    """
    try:
        settings = load_settings()
        script_config = ScriptConfig.of(settings, load_config(settings.config_path))
    except (SettingsError, ConfigError) as error:
        for problem in error.problems:
            print(f"heliograph doctor: {problem}", file=sys.stderr)
        return USAGE
    try:
        return asyncio.run(_examine(settings, script_config, repair))
    except REDIS_ERRORS as error:
        said = said_by_redis(error)
        print(f"heliograph doctor: the ledger cannot be checked: {said}", file=sys.stderr)
        return FOUND_PROBLEMS


async def _examine(settings: Settings, script_config: ScriptConfig, repair: bool) -> int:
    client = async_client(settings.redis_url, max_connections=2)
    try:
        facts = await read_facts(client)
        problems = list(setting_problems(facts, script_config.durability))
        if not is_replica(facts):
            problems += [problem async for problem in work_problems(client, script_config)]
        for problem in problems:
            print(f"store: {problem}")
        if is_replica(facts):
            return FOUND_PROBLEMS  # its data may be old, and nothing can be repaired
        if loss := await _history_loss(client, script_config.keep):
            print(f"history: {loss}")
        tally = await _report(ConsistencyCheck(client, script_config).defects(repair=repair))
        unreadable = await _report_keys(client, settings, script_config)
    finally:
        await client.aclose()
    if not problems and not tally and not unreadable:
        print("ok: the settings of Redis are safe, and the ledger is consistent")
    left = problems or unreadable or tally.total() > tally["repaired"]
    return FOUND_PROBLEMS if left else OK


async def _report_keys(
    client: aredis.Redis, settings: Settings, script_config: ScriptConfig
) -> bool:
    """Print what is not encrypted as new values are; return whether something is unreadable."""
    counts = await count_keys(client, settings, script_config)
    unreadable = list(key_problems(counts))
    for line in (*unreadable, *key_notes(counts, settings)):
        print(f"keys: {line}")
    return bool(unreadable)


async def _report(defects: AsyncIterator[Defect]) -> Counter[Outcome]:
    """Print the first problems and the number of the others; return the count of each outcome."""
    tally: Counter[Outcome] = Counter()
    async for defect in defects:
        if tally.total() < MAX_SHOWN:
            print(f"ledger: {defect}")
        tally[defect.outcome] += 1
    if tally.total() > MAX_SHOWN:
        counts = ", ".join(f"{count} {_OUTCOME_TEXTS[outcome]}" for outcome, count in tally.items())
        print(f"ledger: ... and {tally.total() - MAX_SHOWN} more; in total {counts}")
    return tally


async def _history_loss(client: aredis.Redis, keep_ms: int) -> str:
    """Say what of the store's history was lost, while jobs are compared with it; '' for nothing."""
    known = await cast("Awaitable[dict[bytes, bytes]]", client.hgetall("hg:history"))
    seconds, _ = await client.time()
    if b"epoch" not in known or int(known[b"lost_at"]) + keep_ms <= seconds * 1000:
        return ""
    lost_ms = int(known[b"lost_at"])
    missing = max(0, lost_ms - int(known[b"since"])) / 1000
    return (
        f"at {rfc3339(lost_ms)} the store lacked up to {missing:.0f} s of what processes had"
        f" recorded ({known[b'cause'].decode()}): events accepted then may be missing, and until"
        f" {rfc3339(lost_ms + keep_ms)} each write is looked for before it is made"
    )
