"""What doctor says of a store's settings, memory, disk and replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest
import redis

from deploy.local.valkey import Valkey
from service.cli import main
from service.commands.store_checks import setting_problems
from service.config.settings import Durability
from tests.support.encryption import SECRET_KEY
from tests.support.replicas import Replica, replica_of

GOOD: Final[Mapping[str, Any]] = {
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "appendfsync": "always",
    "master_repl_offset": 1000,
    "connected_slaves": 0,
}
REPLICA: Final = {"ip": "10.0.0.2", "port": 6379, "state": "online", "offset": 1000, "lag": 0}
ONE_REPLICA: Final = {"connected_slaves": 1, "slave0": REPLICA}


@pytest.mark.parametrize(
    ("durability", "changes", "said"),
    [
        ("memory", {}, []),
        ("memory", {"redis_version": "6.2.1"}, ["Redis 6.2.1 is too old"]),
        ("memory", {"cluster_enabled": 1}, ["cluster mode is on"]),
        ("memory", {"maxmemory_policy": "allkeys-lru"}, ["set it to noeviction"]),
        ("memory", {"used_memory": 100, "maxmemory": 100}, ["memory is full"]),
        ("memory", {"used_memory": 90, "maxmemory": 100}, ["memory is nearly full"]),
        ("memory", {"used_memory": 89, "maxmemory": 100}, []),
        ("memory", {"aof_enabled": 0}, ["appendonly is off"]),
        ("memory", {"appendfsync": "everysec"}, ["may lose the last second"]),
        ("memory", {"appendfsync": "unknown"}, []),
        ("memory", ONE_REPLICA, ["async replica: a failover may lose the last writes"]),
        ("memory", {"role": "slave"}, ["this is a replica"]),
        ("fsync", {}, []),
        ("fsync", {"appendfsync": "everysec"}, []),
        ("fsync", {"appendfsync": "no"}, ["most changes are not confirmed in time"]),
        ("fsync", {"aof_enabled": 0}, ["appendonly is off"]),
        ("fsync", ONE_REPLICA, ["although DURABILITY is fsync"]),
        ("replica", {}, ["no replica is connected: nothing is acknowledged"]),
        ("replica", ONE_REPLICA, []),
        ("replica", {**ONE_REPLICA, "appendfsync": "everysec"}, []),
        (
            "replica",
            {"connected_slaves": 1, "slave0": {**REPLICA, "state": "wait_bgsave", "offset": 0}},
            ["no replica is connected", "10.0.0.2:6379 is wait_bgsave"],
        ),
        (
            "replica",
            {"connected_slaves": 1, "slave0": {**REPLICA, "lag": 11, "offset": 400}},
            ["silent for 11 s and 600 bytes behind"],
        ),
    ],
)
def test_settings_are_held_against_what_durability_promises(
    durability: Durability, changes: Mapping[str, Any], said: list[str]
) -> None:
    problems = list(setting_problems({**GOOD, **changes}, durability))
    assert len(problems) == len(said)
    assert all(part in problem for part, problem in zip(said, problems, strict=True))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A store with the recommended settings, and the environment of a process that uses it."""
    (tmp_path / "heliograph.toml").touch()
    with Valkey(tmp_path / "valkey") as server, redis.Redis.from_url(server.url) as client:
        monkeypatch.setenv("REDIS_URL", server.url)
        monkeypatch.setenv("HELIOGRAPH_CONFIG", str(tmp_path / "heliograph.toml"))
        monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
        monkeypatch.setenv("API_KEYS", f"ann:{token_hex(16)}")
        yield client


@pytest.fixture
def replica(store: redis.Redis) -> Iterator[Replica]:
    """A replica of that store."""
    with replica_of(store) as attached:
        yield attached


def test_a_real_replica_is_enough_for_a_promise_that_waits_for_it(
    replica: Replica, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a replica, nobody who does not wait for it is told that all is well
    assert main(["doctor"]) == 1
    assert "async replica: a failover may lose the last writes" in capsys.readouterr().out
    # But who waits for it is
    monkeypatch.setenv("DURABILITY", "replica")
    assert main(["doctor"]) == 0
    # Until it is gone
    replica.cut()
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "no replica is connected: nothing is acknowledged" in said
    assert "not acknowledged: no replica has confirmed the change" in said


def test_rights_that_a_process_lacks_are_named_with_the_process(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    everything_but = ["on", ">secret", "+@all", "-spop", "-xinfo|stream", "~*"]
    store.acl_setuser("half", reset=True)
    store.execute_command("ACL", "SETUSER", "half", *everything_but)  # type: ignore[no-untyped-call]
    port = store.connection_pool.connection_kwargs["port"]
    monkeypatch.setenv("REDIS_URL", f"redis://half:secret@127.0.0.1:{port}/0")
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "store: web: the user in REDIS_URL lacks rights" in said
    assert "+xinfo|stream" in said
    assert "store: worker: the user in REDIS_URL lacks rights" in said
    assert "+spop" in said
    assert "scheduler: " not in said
