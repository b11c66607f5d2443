"""What each process asks of Redis: its commands and keys, as ACL rules and as samples to check.

A sample is a command with arguments that make it complete, `K` for a key. No process uses a
channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from service.config.settings import Durability
from service.jobs.actor_routes import NAMESPACE
from service.jobs.lua.builder import commands_of_script

Process = Literal["web", "worker", "scheduler", "doctor"]

#: Key patterns of all processes. Dramatiq names the namespace itself as a key of its script.
KEY_PATTERNS: Final = ("hg:*", NAMESPACE, f"{NAMESPACE}:*")

#: What every connection may send.
_CONNECTION: Final = ("PING", "SELECT 0", "CLIENT SETINFO lib-name x")
#: Running the ledger's scripts, in either form.
_SCRIPTING: Final = ("FCALL f 0", "FUNCTION LOAD x", "EVALSHA x 0", "SCRIPT LOAD x")
#: What waits until a change is durable.
_WAITING: Final[Mapping[Durability, str]] = {"replica": "WAIT 0 1", "fsync": "WAITAOF 0 0 1"}
#: What the scripts do.
_IN_SCRIPTS: Final = (
    "DEL K",
    "EXISTS K",
    "GET K",
    "HDEL K f",
    "HEXISTS K f",
    "HGET K f",
    "HGETALL K",
    "HINCRBY K f 1",
    "HKEYS K",
    "HLEN K",
    "HMGET K f",
    "HSET K f v",
    "HSETNX K f v",
    "INCR K",
    "INCRBY K 1",
    "INFO replication",
    "LINDEX K 0",
    "LLEN K",
    "LPUSH K v",
    "LRANGE K 0 1",
    "LTRIM K 0 0",
    "MGET K",
    "PERSIST K",
    "PEXPIRE K 1",
    "PEXPIRETIME K",
    "PTTL K",
    "RPUSH K v",
    "SADD K m",
    "SCARD K",
    "SET K v",
    "SISMEMBER K m",
    "SMEMBERS K",
    "SRANDMEMBER K",
    "SREM K m",
    "SSCAN K 0",
    "STRLEN K",
    "TIME",
    "TYPE K",
    "UNLINK K",
    "XADD K * f v",
    "XDEL K 1-1",
    "XREVRANGE K + -",
    "XTRIM K MAXLEN 1",
    "ZADD K 1 m",
    "ZCARD K",
    "ZCOUNT K 0 1",
    "ZRANGE K 0 1",
    "ZRANGEBYSCORE K 0 1",
    "ZRANK K m",
    "ZREM K m",
    "ZREMRANGEBYSCORE K 0 1",
    "ZSCAN K 0",
    "ZSCORE K m",
)
#: What web and worker read and write without a script.
_DIRECT: Final = (
    "EXPIRE K 1",
    "GETDEL K",
    "HSCAN K 0",
    "MULTI",
    "EXEC",
    "SMISMEMBER K m",
    "XREAD STREAMS K 0",
)
_LEDGER: Final = (*_CONNECTION, *_SCRIPTING, *_WAITING.values(), *_IN_SCRIPTS, *_DIRECT)
_WEB: Final = (*_LEDGER, "PEXPIRETIME K", "XDEL K 0-1", "XINFO STREAM K", "XRANGE K - +")
_WORKER: Final = (
    *_LEDGER,
    "CONFIG GET x",
    "FUNCTION LIST",
    "FUNCTION DELETE x",
    "LPOP K",
    "SPOP K",
)
#: Dramatiq's script (dramatiq/brokers/redis/dispatch.lua) for who only sends messages.
_SCHEDULER: Final = (
    *_CONNECTION,
    "EVALSHA x 0",
    "SCRIPT LOAD x",
    "HSET K f v",
    "RPUSH K v",
    "XADD K * f v",
    "ZADD K 1 m",
)
#: `doctor` checks what every process needs by its own rights; `secret rotate` needs no more.
_DOCTOR: Final = (*_WEB, *_WORKER, *_SCHEDULER, "INFO", "SCAN 0", "GETRANGE K 0 1")

SAMPLES: Final[Mapping[Process, Sequence[str]]] = {
    "web": _WEB,
    "worker": _WORKER,
    "scheduler": _SCHEDULER,
    "doctor": _DOCTOR,
}
#: Some providers allow nobody to run it, and nothing depends on it.
_OPTIONAL: Final = frozenset({"CONFIG GET x"})


def samples_of_script(name: str) -> list[str]:
    """The commands of one script, with keys of every pattern where they take one."""
    commands = commands_of_script(name)
    return list(_with_keys(each for each in _WORKER if each.split()[0] in commands))


def samples_of(process: Process, durability: Durability) -> list[str]:
    """The commands that a process needs, with keys of every pattern where they take one.

    Parameters:
      durability: What the process waits for.
    """
    unused = {sample for waits, sample in _WAITING.items() if waits != durability} | _OPTIONAL
    return list(_with_keys(each for each in SAMPLES[process] if each not in unused))


def acl_rules(process: Process) -> str:
    """A process' rights as rules of ACL SETUSER, for a user that has none.

    docs/storage.md shows them as whole commands.
    """
    keys = " ".join(f"~{pattern}" for pattern in KEY_PATTERNS)
    commands = sorted({_acl_name(sample) for sample in SAMPLES[process]})
    return f"{keys} {' '.join(f'+{name}' for name in commands)}"


def missing_rights(forbidden: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """What to grant, as rules of ACL SETUSER: key patterns, then commands.

    Parameters:
      forbidden: The samples that are not allowed.
      wanted: All that were checked.
    """
    keys = {pattern: f" {pattern.replace('*', 'probe')}" for pattern in KEY_PATTERNS}
    missing = [pattern for pattern, key in keys.items() if _are_all(key, forbidden, wanted)]
    if len(missing) == len(keys):
        missing = []  # then it is rather the commands
    others = {key for pattern, key in keys.items() if pattern not in missing}
    commands = {
        _acl_name(sample)
        for sample in forbidden
        if not _has_key(sample, keys.values()) or _has_key(sample, others)
    }
    return [*(f"~{pattern}" for pattern in missing), *(f"+{name}" for name in sorted(commands))]


def _are_all(key: str, forbidden: Sequence[str], wanted: Sequence[str]) -> bool:
    with_key = [sample for sample in wanted if _has_key(sample, (key,))]
    return bool(with_key) and all(sample in forbidden for sample in with_key)


def _has_key(sample: str, keys: Iterable[str]) -> bool:
    return any(f"{key} " in f"{sample} " for key in keys)


def _with_keys(samples: Iterable[str]) -> Iterator[str]:
    for sample in dict.fromkeys(samples):
        words = sample.split()
        for pattern in KEY_PATTERNS if "K" in words else ("",):
            key = pattern.replace("*", "probe")
            yield " ".join(key if word == "K" else word for word in words)


def _acl_name(sample: str) -> str:
    """`client|setinfo` of a command with subcommands, else the command."""
    command, *arguments = sample.lower().split()
    containers = ("client", "config", "function", "script", "xinfo")
    return f"{command}|{arguments[0]}" if command in containers else command
