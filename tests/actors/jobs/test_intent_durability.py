"""A write follows only an intent that a replica has: nothing is sent without, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from actors.jobs.attempt import perform
from actors.jobs.next_steps import INTENT_NOT_DURABLE
from service.jobs.model import Status
from tests.support.ledger import TIMES, LedgerHarness, open_ledger
from tests.support.replicas import Replica, replica_of
from tests.support.runtime import endpoint, make_runtime
from tests.support.scripted_gateway import ScriptedGateway


@pytest.fixture
def replica(store: redis.Redis) -> Iterator[Replica]:
    """A replica of the store."""
    with replica_of(store) as attached:
        yield attached


@pytest.fixture
def ledger(store: redis.Redis, store_url: str, replica: Replica) -> Iterator[LedgerHarness]:
    """A ledger that relies on the replica."""
    with open_ledger(store_url, replace(TIMES, durability="replica")) as opened:
        yield opened


def test_a_job_whose_intent_no_replica_has_waits_and_is_sent_once_when_one_has_it(
    ledger: LedgerHarness, replica: Replica, store_url: str
) -> None:
    # Given a job, and a store that has lost its replica
    gateway = ScriptedGateway()
    runtime = make_runtime(ledger, endpoint("crm"), gateways=gateway)
    with open_ledger(store_url) as others:
        job_id = others.add_job()
    replica.cut()
    # When a worker attempts it
    ledger.run(perform(runtime, job_id))
    # Then nothing is sent or charged, and the job waits
    assert gateway.sent == []
    assert ledger.store.zcard("hg:acct:shop:spent:dm") == 0
    job = ledger.api_job(job_id)
    assert (job["status"], job["wait"]["reason"]) == ("waiting", "not_durable")
    assert job["attempts"] == 0
    # And when there is a replica again, it is sent at the next attempt, without a look first
    replica.attach()
    ledger.pass_time(INTENT_NOT_DURABLE.after_ms)
    ledger.heartbeat()
    ledger.run(perform(runtime, job_id))
    assert len(gateway.sent) == 1
    assert ledger.status(job_id) is Status.SUCCEEDED
    runtime.heartbeat.stop()
