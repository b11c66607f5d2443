"""What `heliograph doctor` finds about the store itself: its settings, its replicas, our rights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

import redis.asyncio as aredis

from service.config.settings import Durability
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.probe_store import probe_store
from service.jobs.lua.runner import Scripts
from service.jobs.readiness import ACCEPTING, describe
from service.jobs.store_rights import Process, samples_of
from service.redis.causes import NotDurable, said_by_redis
from service.redis.client import REDIS_ERRORS

#: From this share of maxmemory on, a store is nearly full.
NEARLY_FULL: Final = 0.9
#: A replica that has reported nothing for so many seconds is not counted by Redis either
#: (min-replicas-max-lag, by default).
MAX_LAG_SECONDS: Final = 10

_CONFIG: Final = "appendfsync"
_UNKNOWN: Final = "unknown"

Facts = Mapping[str, Any]


class _Replica(NamedTuple):
    name: str
    state: str
    lag_seconds: int
    bytes_behind: int


async def read_facts(client: aredis.Redis) -> Facts:
    """The fields of INFO, and `appendfsync`; without what the store does not tell us."""
    facts: dict[str, Any] = {_CONFIG: _UNKNOWN}
    try:
        facts |= await client.info()
        facts |= await cast("Awaitable[Any]", client.config_get(_CONFIG))
    except aredis.ResponseError:
        pass  # the rights are checked on their own; some providers allow nobody to read these
    return facts


def is_replica(facts: Facts) -> bool:
    """Whether the store is a replica."""
    return str(facts.get("role", "master")) != "master"


def setting_problems(facts: Facts, durability: Durability) -> Iterator[str]:
    """What is wrong with the store's settings and replicas.

    Parameters:
      durability: What the processes promise.
    """
    if int(str(facts.get("redis_version", "7")).partition(".")[0]) < 7:
        yield f"Redis {facts.get('redis_version')} is too old: use 7.0 or later, or Valkey"
    if str(facts.get("cluster_enabled", 0)) == "1":
        yield "cluster mode is on: use a Redis without it, since one step changes many keys"
    yield from _memory_problems(facts)
    if is_replica(facts):
        yield "this is a replica: REDIS_URL must name the primary"
        return
    yield from _disk_problems(facts, durability)
    yield from _replica_problems(facts, durability)


def _memory_problems(facts: Facts) -> Iterator[str]:
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield f"maxmemory-policy is {policy}: set it to noeviction, or jobs may be evicted"
    used, most = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    if most and used >= most:
        yield f"memory is full: {used} bytes used, maxmemory is {most}"
    elif most and used >= NEARLY_FULL * most:
        yield (
            f"memory is nearly full: {used} bytes used, maxmemory is {most}; when it is full,"
            " webhooks and POST /jobs are refused"
        )


def _disk_problems(facts: Facts, durability: Durability) -> Iterator[str]:
    appendfsync = facts[_CONFIG]
    if str(facts.get("aof_enabled", "1")) != "1":
        yield "appendonly is off: a crash of Redis loses acknowledged events and jobs"
    elif durability == "fsync" and appendfsync == "no":
        yield "DURABILITY is fsync and appendfsync is no: most changes are not confirmed in time"
    elif durability == "memory" and appendfsync not in ("always", _UNKNOWN):
        yield (
            f"appendfsync is {appendfsync}: a crash of Redis may lose the last second of"
            " acknowledged events and jobs (always loses none)"
        )


def _replica_problems(facts: Facts, durability: Durability) -> Iterator[str]:
    replicas = list(_replicas(facts))
    if durability != "replica" and replicas:
        yield (
            f"async replica: a failover may lose the last writes, although DURABILITY is"
            f" {durability} (replica waits until one has them)"
        )
    if durability == "replica" and not any(each.state == "online" for each in replicas):
        yield "DURABILITY is replica and no replica is connected: nothing is acknowledged"
    for each in replicas:
        if each.state != "online" or each.lag_seconds > MAX_LAG_SECONDS:
            yield (
                f"replica {each.name} is {each.state}, silent for {each.lag_seconds} s and"
                f" {each.bytes_behind} bytes behind"
            )


def _replicas(facts: Facts) -> Iterator[_Replica]:
    written = int(facts.get("master_repl_offset", 0))
    for number in range(int(facts.get("connected_slaves", 0))):
        found = facts[f"slave{number}"]
        name = f"{found['ip']}:{found['port']}"
        behind = max(0, written - int(found.get("offset", 0)))
        yield _Replica(name, found["state"], int(found.get("lag", 0)), behind)


async def work_problems(client: aredis.Redis, script_config: ScriptConfig) -> AsyncIterator[str]:
    """What would keep the processes from working: tries a write, and every right."""
    scripts, durability = Scripts(client, script_config), script_config.durability
    try:
        found = describe(await scripts.run(probe_store(*ACCEPTING)), ACCEPTING)
        if found is not None:
            yield f"webhooks and POST /jobs are refused: {found}"
    except NotDurable as error:
        yield f"webhooks and POST /jobs are not acknowledged: {error}"
    except REDIS_ERRORS as error:
        yield f"webhooks and POST /jobs are refused: {said_by_redis(error)}"
        return
    processes: tuple[Process, ...] = ("web", "worker", "scheduler", "doctor")
    for process in processes:
        wanted = samples_of(process, durability)
        try:
            problems = await scripts.run(probe_store(*wanted))
        except NotDurable:
            continue
        rights = [problem for problem in problems if problem[0] == "right"]
        if rights:
            yield f"{process}: {describe(rights, wanted)}"
