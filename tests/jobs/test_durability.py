"""`DURABILITY`: nothing is relied on before a replica, or the disk, has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from deploy.local.valkey import Valkey
from deploy.local.wait import until
from service.config.settings import Durability
from service.jobs.model import Status
from service.jobs.replies import Acceptance, Creation
from service.redis.causes import NotDurable, forget_changes, has_changed
from tests.support.ledger import HOUR, TIMES, Event, LedgerHarness, draft, open_ledger
from tests.support.people import erase
from tests.support.replicas import Replica, replica_of

T = TypeVar("T")


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


def acknowledged(step: Callable[[], T]) -> T | None:
    """The reply to a step; None if the replica was too slow, as on a busy machine."""
    try:
        return step()
    except NotDurable:
        return None


def accept(ledger: LedgerHarness) -> Acceptance:
    """Accept an event, always the same."""
    return ledger.accept(Event("evt_1"), draft())


def create(ledger: LedgerHarness) -> Creation:
    """Create a job as an API caller does, always with the same idempotency key."""
    step = ledger.core.create(draft(rule=None), caller="ann", idempotency_key="k", request="r")
    return ledger.run(step)


def test_an_accepted_event_is_on_the_replica(ledger: LedgerHarness, replica: Replica) -> None:
    accepted = until(lambda: acknowledged(lambda: accept(ledger)), 20, "an acknowledgement")
    assert replica.client.exists("hg:event:stripe:evt_1", f"hg:job:{accepted.jobs[0]}") == 2


def test_an_event_that_no_replica_has_is_not_acknowledged_until_one_has_it(
    ledger: LedgerHarness, replica: Replica, store: redis.Redis
) -> None:
    # Given a store that has lost its replica, when an event comes, again and again
    replica.cut()
    for _ in range(2):
        with pytest.raises(NotDurable, match="no replica"):
            accept(ledger)
    # Then it is recorded once, and acknowledged as a duplicate when a replica has it
    replica.attach()
    accepted = until(lambda: acknowledged(lambda: accept(ledger)), 20, "an acknowledgement")
    assert accepted.outcome == "duplicate"
    assert store.zcard("hg:jobs") == 1
    assert replica.client.exists("hg:event:stripe:evt_1")
    assert count(store, "accept_events") >= 2


def test_a_job_that_is_asked_for_again_is_on_the_replica(
    ledger: LedgerHarness, replica: Replica, store_url: str
) -> None:
    with replica.frozen():
        # Given a job that its replica has not got yet
        with pytest.raises(NotDurable):
            create(ledger)
        # When the caller sends again, to a process that has written nothing itself
        with open_ledger(store_url, ledger.script_config) as other, pytest.raises(NotDurable):
            create(other)
    # Then the job is acknowledged when the replica has it
    again = until(lambda: acknowledged(lambda: create(ledger)), 20, "an acknowledgement")
    assert again.outcome == "repeated"
    assert replica.client.exists(f"hg:job:{again.job_id}")


AGAIN: dict[str, Callable[[LedgerHarness, str], object]] = {
    "cancel": lambda ledger, job_id: ledger.run(ledger.core.cancel(job_id, "api:test")),
    "pause": lambda ledger, _: ledger.run(ledger.controls.pause("shop")),
    "pause of a kind": lambda ledger, _: ledger.run(ledger.controls.pause("shop", kind="dm")),
    "pause of all": lambda ledger, _: ledger.run(ledger.controls.pause_all()),
    "resume": lambda ledger, _: ledger.run(ledger.controls.resume("shop")),
    "replay": lambda ledger, _: ledger.run(ledger.core.replay("stripe", "evt_auto_1", [], [])),
    "erasure": lambda ledger, _: erase(ledger),
}


@pytest.mark.parametrize("step", AGAIN.values(), ids=AGAIN)
def test_what_is_asked_for_again_is_not_acknowledged_until_the_replica_has_it(
    ledger: LedgerHarness,
    replica: Replica,
    store_url: str,
    step: Callable[[LedgerHarness, str], object],
) -> None:
    with open_ledger(store_url) as others:
        job_id = others.add_job(delay_ms=HOUR)
    with replica.frozen():
        with pytest.raises(NotDurable):
            step(ledger, job_id)
        # Sent again, it finds done what it asks for, in a process that has written nothing itself
        with open_ledger(store_url, ledger.script_config) as other, pytest.raises(NotDurable):
            step(other, job_id)


def test_the_end_of_a_job_stays_although_no_replica_has_it(
    ledger: LedgerHarness, store: redis.Redis, store_url: str
) -> None:
    with open_ledger(store_url) as others:
        job_id = others.add_job()
        claim = others.claim_and_send(job_id)
    assert ledger.finish(claim)
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert count(store, "finish_job") == 1


def test_an_intent_that_no_replica_has_may_not_be_followed_by_a_write(
    ledger: LedgerHarness, store_url: str
) -> None:
    with open_ledger(store_url) as others:
        claim = others.claim(others.add_job())
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
        with pytest.raises(NotDurable, match=r"appendonly is disabled|unknown command 'WAITAOF'"):
            ledger.accept(Event("evt_1"))


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_an_accepted_event_is_on_the_disk(tmp_path: Path, appendfsync: str) -> None:
    with Valkey(tmp_path) as server, redis.Redis.from_url(server.url) as store:
        store.config_set("appendfsync", appendfsync)
        with open_ledger(server.url, replace(TIMES, durability="fsync")) as ledger:
            assert ledger.accept(Event("evt_1")).outcome == "accepted"
            assert count(store, "accept_events") == 0


def test_what_a_task_has_changed_is_remembered_and_what_it_has_read_is_not(
    store_url: str, store: redis.Redis
) -> None:
    with open_ledger(store_url) as ledger:

        async def steps() -> tuple[bool, bool]:
            forget_changes()
            await ledger.controls.show("shop")
            after_reading = has_changed()
            await ledger.core.create(
                draft(rule=None), caller="ann", idempotency_key=None, request="r"
            )
            return after_reading, has_changed()

        assert ledger.run(steps()) == (False, True)


def test_every_acknowledged_event_survives_a_failover(
    ledger: LedgerHarness, replica: Replica
) -> None:
    acknowledged_ids: set[str] = set()

    def send(numbers: range) -> None:
        for number in numbers:
            event = Event(f"evt_{number}")
            if acknowledged(lambda event=event: ledger.accept(event, draft())):  # type: ignore[misc]
                acknowledged_ids.add(event.id)

    # Given events that come while the replica keeps up, and while it does not
    send(range(40))
    kept_up = len(acknowledged_ids)
    with replica.frozen():
        send(range(40, 43))
    # When the replica is promoted
    replica.client.replicaof("NO", "ONE")
    # Then it has every event that was acknowledged
    keys = [f"hg:event:stripe:{event_id}" for event_id in acknowledged_ids]
    assert replica.client.exists(*keys) == len(keys) == kept_up > 0
