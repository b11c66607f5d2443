"""What each process asks of Redis: its commands and keys, as ACL rules and as samples to check.

A sample is a command with arguments that make it complete, `K` for a key. No process uses a
channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from service.jobs.actor_routes import NAMESPACE

Process = Literal["web", "worker", "scheduler", "doctor"]

#: Key patterns of all processes. Dramatiq names the namespace itself as a key of its script.
KEY_PATTERNS: Final = ("hg:*", NAMESPACE, f"{NAMESPACE}:*")

#: What every connection may send.
_CONNECTION: Final = ("PING", "SELECT 0", "CLIENT SETINFO lib-name x")
#: Running the ledger's scripts in either form, and waiting until what they did is durable.
_SCRIPTING: Final = (
    "FCALL f 0",
    "FUNCTION LOAD x",
    "EVALSHA x 0",
    "SCRIPT LOAD x",
    "WAIT 0 1",
    "WAITAOF 0 0 1",
)
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
    "HMGET K f",
    "HSET K f v",
    "HSETNX K f v",
    "INCR K",
    "INCRBY K 1",
    "INFO replication",
    "LINDEX K 0",
    "LLEN K",
    "LTRIM K 0 0",
    "PERSIST K",
    "PEXPIRE K 1",
    "PTTL K",
    "RPUSH K v",
    "SADD K m",
    "SCARD K",
    "SET K v",
    "SISMEMBER K m",
    "SMEMBERS K",
    "SRANDMEMBER K",
    "SREM K m",
    "STRLEN K",
    "TIME",
    "TYPE K",
    "UNLINK K",
    "XADD K * f v",
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
    "ZSCORE K m",
)
#: What web and worker read and write without a script.
_DIRECT: Final = (
    "EXPIRE K 1",
    "GETDEL K",
    "LRANGE K 0 1",
    "MGET K",
    "MULTI",
    "EXEC",
    "SMISMEMBER K m",
    "XREAD STREAMS K 0",
)
_LEDGER: Final = (*_CONNECTION, *_SCRIPTING, *_IN_SCRIPTS, *_DIRECT)
#: Dramatiq's script (dramatiq/brokers/redis/dispatch.lua) for who only sends messages.
_SENDING: Final = ("EVALSHA x 0", "SCRIPT LOAD x", "HSET K f v", "RPUSH K v", "ZADD K 1 m")

SAMPLES: Final[Mapping[Process, tuple[str, ...]]] = {
    "web": (*_LEDGER, "XINFO STREAM K", "XRANGE K - +"),
    "worker": (*_LEDGER, "FUNCTION LIST", "FUNCTION DELETE x", "LPOP K", "SPOP K"),
    "scheduler": (*_CONNECTION, *_SENDING, "SCRIPT EXISTS x", "XADD K * f v"),
    "doctor": (*_LEDGER, "CONFIG GET x", "INFO", "SCAN 0", "ZSCAN K 0"),
}

#: Accepting an event, and all that a web process does besides.
READINESS: Final = tuple(sample.replace("K", "hg:probe") for sample in SAMPLES["web"])


def samples_of(process: Process) -> Iterator[str]:
    """A process' commands, each with keys of every pattern where it takes one."""
    for sample in SAMPLES[process]:
        words = sample.split()
        if "K" not in words:
            yield sample
            continue
        for pattern in KEY_PATTERNS:
            key = pattern.replace("*", "probe")
            yield " ".join(key if word == "K" else word for word in words)


def acl_rules(process: Process) -> str:
    """A process' rights as rules of ACL SETUSER, after those that begin with nothing."""
    keys = " ".join(f"~{pattern}" for pattern in KEY_PATTERNS)
    commands = sorted({_acl_name(sample) for sample in SAMPLES[process]})
    return f"resetkeys {keys} resetchannels -@all {' '.join(f'+{name}' for name in commands)}"


def _acl_name(sample: str) -> str:
    """`client|setinfo` of a command with subcommands, else the command."""
    command, *arguments = sample.lower().split()
    containers = ("client", "config", "function", "script", "xinfo")
    return f"{command}|{arguments[0]}" if command in containers else command
