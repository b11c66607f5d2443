"""`DURABILITY`: nothing is relied on before a replica, or the disk, has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from deploy.local.valkey import Valkey
from service.config.settings import Durability
from service.jobs.model import Status
from service.jobs.replies import Creation
from service.redis.causes import NotDurable
from tests.support.ledger import TIMES, Event, LedgerHarness, draft, open_ledger
from tests.support.replicas import Replica, replica_of


@pytest.fixture
def replica(store: redis.Redis) -> Iterator[Replica]:
    """A replica of the store."""
    with replica_of(store) as attached:
        yield attached


@pytest.fixture
def ledger(store_url: str, store: redis.Redis) -> Iterator[LedgerHarness]:
    """A ledger that relies on a replica."""
    with open_ledger(store_url, replace(TIMES, durability="replica")) as opened:
        yield opened


def count(store: redis.Redis, step: str) -> int:
    """How many changes of a step were not confirmed."""
    return int(store.hget("hg:counters", f"not_durable:{step}") or 0)


def create(ledger: LedgerHarness) -> Creation:
    """Create a job as an API caller does, always with the same idempotency key."""
    step = ledger.core.create(draft(rule=None), caller="ann", idempotency_key="k", request="r")
    return ledger.run(step)


def test_an_accepted_event_is_on_the_replica(ledger: LedgerHarness, replica: Replica) -> None:
    accepted = ledger.accept(Event("evt_1"), draft())
    assert replica.client.exists("hg:event:stripe:evt_1", f"hg:job:{accepted.jobs[0]}") == 2


def test_an_event_that_no_replica_has_is_not_acknowledged_until_one_has_it(
    ledger: LedgerHarness, replica: Replica, store: redis.Redis
) -> None:
    # Given a store that has lost its replica, when an event comes, again and again
    replica.cut()
    for _ in range(2):
        with pytest.raises(NotDurable, match="no replica"):
            ledger.accept(Event("evt_1"), draft())
    # Then it is recorded once, and acknowledged as a duplicate when a replica has it
    replica.attach()
    assert ledger.accept(Event("evt_1"), draft()).outcome == "duplicate"
    assert store.zcard("hg:jobs") == 1
    assert replica.client.exists("hg:event:stripe:evt_1")
    assert count(store, "accept_events") == 2


def test_a_job_that_is_asked_for_again_is_on_the_replica(
    ledger: LedgerHarness, replica: Replica, store_url: str
) -> None:
    # Given a job that no replica has
    replica.cut()
    with pytest.raises(NotDurable):
        create(ledger)
    # When the caller sends again, through a process that has written nothing itself
    with (
        open_ledger(store_url, ledger.script_config) as other,
        pytest.raises(NotDurable),
    ):
        create(other)
    # Then the job is acknowledged when a replica has it
    replica.attach()
    again = create(ledger)
    assert again.outcome == "repeated"
    assert replica.client.exists(f"hg:job:{again.job_id}")


def test_the_end_of_a_job_stays_although_no_replica_has_it(
    ledger: LedgerHarness, replica: Replica, store: redis.Redis
) -> None:
    job_id = ledger.add_jobs(1)[0]
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim) == "ok"
    replica.cut()
    assert ledger.finish(claim)
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert count(store, "finish_job") == 1


def test_an_intent_that_no_replica_has_may_not_be_followed_by_a_write(
    ledger: LedgerHarness, replica: Replica
) -> None:
    claim = ledger.claim(ledger.add_jobs(1)[0])
    replica.cut()
    with pytest.raises(NotDurable):
        ledger.record_intent(claim)


@pytest.mark.parametrize(("durability", "waits"), [("memory", False), ("fsync", True)])
def test_a_store_that_writes_nothing_to_its_disk_serves_only_who_does_not_rely_on_it(
    store: redis.Redis, store_url: str, durability: Durability, waits: bool
) -> None:
    with open_ledger(store_url, replace(TIMES, durability=durability)) as ledger:
        if not waits:
            assert ledger.accept(Event("evt_1")).outcome == "accepted"
            return
        with pytest.raises(NotDurable, match="appendonly is disabled"):
            ledger.accept(Event("evt_1"))


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_an_accepted_event_is_on_the_disk(tmp_path: Path, appendfsync: str) -> None:
    with Valkey(tmp_path) as server, redis.Redis.from_url(server.url) as store:
        store.config_set("appendfsync", appendfsync)
        with open_ledger(server.url, replace(TIMES, durability="fsync")) as ledger:
            assert ledger.accept(Event("evt_1")).outcome == "accepted"
            assert count(store, "accept_events") == 0
