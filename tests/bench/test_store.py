"""A filled store looks as if real jobs had filled it, so that measurements on it are valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
import redis

from service.jobs.consistency_check import ConsistencyCheck
from service.jobs.job_filter import JobFilter
from service.jobs.model import Status
from tests.bench import memory
from tests.bench.filling import LEAST, SORTS, fill
from tests.bench.probes import Probe
from tests.bench.typical_dm import TypicalDms, opened_shop

JOBS = 1_000
_LAST = ("failed", "waiting")


def test_doctor_and_rescue_find_nothing_in_a_filled_store(
    store: redis.Redis, store_url: str
) -> None:
    counts = fill(store_url, JOBS)

    with opened_shop(store_url) as (shop, runner):
        assert runner.run(_defects(shop)) == []
        assert runner.run(shop.ledger.rescue_stranded()) == []
    assert (sum(counts.values()), store.zcard("hg:jobs")) == (JOBS, JOBS)
    assert min(counts.values()) == LEAST
    assert list(store.scan_iter("mould:*", count=1_000)) == []


async def _defects(shop: TypicalDms) -> list[str]:
    examination = ConsistencyCheck(shop.client, shop.script_config)
    return [str(defect) async for defect in examination.defects()]


@pytest.mark.parametrize("name", SORTS)
def test_a_clone_has_the_shape_of_a_job_made_by_the_scripts(
    store: redis.Redis, store_url: str, name: str
) -> None:
    # Given a job that was brought to its state step by step
    with opened_shop(store_url) as (shop, runner):
        made = runner.run(cast("Any", SORTS[name].make(shop, "account-001")))
    sort, shape = _sort(store, made), _shape(store, made)
    store.flushdb()
    # When a store is filled with clones of it
    fill(store_url, JOBS)
    # Then the newest of its sort looks like it in every key and index
    newest = (each.decode() for each in _members(store, f"hg:jobs:status:{sort[0].decode()}")[::-1])
    clone = next(job_id for job_id in newest if _sort(store, job_id) == sort)
    assert _shape(store, clone) == shape


def _members(store: redis.Redis, index: str) -> list[bytes]:
    found: Any = store.zrange(index, 0, -1)
    return list(found)


def _sort(store: redis.Redis, job_id: str) -> tuple[Any, ...]:
    labels: Any = store.hmget(f"hg:job:{job_id}", "status", "kind")
    return (*labels, store.hget(f"hg:dlv:dlv_{job_id[4:]}_1", "status"))


def _shape(store: redis.Redis, job_id: str) -> dict[str, Any]:
    """A job's keys with their encodings and fields, and the indexes that list it."""
    shapes: dict[str, Any] = {}
    for key in store.scan_iter("hg:*", count=1_000):
        kind: Any = store.type(key)
        name = b":".join(key.split(b":")[:2]).decode()
        if kind == b"zset" and store.zscore(key, job_id) is not None and b":account:" not in key:
            shapes["in " + re.sub(r"hg:acct:[^:]+", "hg:acct", key.decode())] = True
        elif job_id[4:].encode() in key or (kind == b"string" and _names(store, key, job_id)):
            shapes[name] = _of(store, key, kind)
    return shapes


def _names(store: redis.Redis, key: bytes, job_id: str) -> bool:
    return store.get(key) == job_id.encode() and not key.endswith(b":turn")


def _of(store: redis.Redis, key: bytes, kind: bytes) -> tuple[Any, ...]:
    parts: Mapping[bytes, Callable[[], Any]] = {
        b"hash": lambda: sorted(cast("list[bytes]", store.hkeys(cast("Any", key)))),
        b"list": lambda: store.llen(cast("Any", key)),
    }
    inside = parts[kind]() if kind in parts else None
    return kind, store.object("encoding", cast("Any", key)), inside, store.pttl(key) > 0


def test_clones_are_listed_shown_and_processed_as_any_job(
    store: redis.Redis, store_url: str
) -> None:
    fill(store_url, JOBS)
    with opened_shop(store_url) as (shop, runner):
        for status in ("scheduled", "waiting", "held", "succeeded", "failed", "canceled"):
            only = JobFilter((Status(status),))
            page = runner.run(shop.finder.page(only, cursor=None, limit=20))
            assert [job["status"] for job in page.items] == [status] * 20
            timeline = runner.run(shop.queries.timeline(page.items[0]["id"]))
            assert timeline[-1]["status"] == status
        failed, waiting = (
            _members(store, f"hg:jobs:status:{status}")[-1].decode() for status in _LAST
        )
        assert runner.run(shop.ledger.retry(failed, "bench")) == "ok"
        assert runner.run(shop.ledger.cancel(waiting, "bench")) == "ok"
        assert runner.run(_defects(shop)) == []


def test_every_step_is_measured(store: redis.Redis, store_url: str) -> None:
    fill(store_url, JOBS)
    with opened_shop(store_url) as (shop, runner):
        probe = Probe(shop, store, runner)
        probe.life(2)
        probe.lists(2)
        probe.filters()
        probe.others(1)
        probe.batches()

    assert len(probe.server) == len(probe.wall) > 20
    assert all(figure > 0 for found in probe.server.values() for figure in found)


def test_a_finished_job_takes_no_more_memory_than_promised(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "JOBS", 300)

    row = memory.memory_row(store_url)

    assert [goal.met for goal in row.goals] == [True]
    assert row.figures["job: its record"] > 300
