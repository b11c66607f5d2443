"""Promotion of a replica: writes it may have missed are verified first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.local.valkey import Valkey
from deploy.local.wait import until
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import TIMES, open_ledger


class ReplicatedStore:
    """A primary, and a replica that follows it."""

    def __init__(self, directory: Path) -> None:
        self.primary, self.replica = (Valkey(directory / name) for name in ("one", "two"))

    def follow(self) -> None:
        """Start the replication, and wait until the replica has caught up."""
        with redis.Redis.from_url(self.replica.url) as store:
            host, port = self.primary.url.removeprefix("redis://").removesuffix("/0").split(":")
            store.execute_command("REPLICAOF", host, port)
        self.catch_up()

    def catch_up(self) -> None:
        """Wait until the replica has all that the primary has."""
        with redis.Redis.from_url(self.primary.url) as store:
            store.set("mark", "1")
            until(lambda: store.execute_command("WAIT", 1, 100) == 1, 20, "the replica")

    def promote(self) -> None:
        """Make the replica a primary."""
        with redis.Redis.from_url(self.replica.url) as store:
            store.execute_command("REPLICAOF", "NO", "ONE")


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[ReplicatedStore]:
    """A running primary and its replica."""
    replicated = ReplicatedStore(tmp_path)
    with replicated.primary, replicated.replica:
        replicated.follow()
        yield replicated


def test_a_write_unknown_to_a_promoted_replica_is_verified(
    replicated: ReplicatedStore,
) -> None:
    # Given a job that the replica has, and a second one that waits behind it
    with open_ledger(replicated.primary.url) as before:
        job_id, waiter, other = before.add_job(), before.add_job(), before.add_job(delay_ms=1)
        before.heartbeat()
        replicated.catch_up()
        # When the replica is promoted, and two later writes of the primary are lost
        replicated.promote()
        before.finish(before.claim_and_send(job_id))
        assert before.record_intent(before.claim(waiter)) == "ok"
    # Then the writes are verified before anything is sent
    with open_ledger(replicated.replica.url) as after:
        after.pass_time(TIMES.lease)
        after.heartbeat()
        verification = after.claim(job_id)
        assert verification.verify_first
        assert after.finish(verification)
        assert after.claim(waiter).verify_first
        assert after.record(other).intent_ms == 0, "it cannot have been written"
        assert audit(after) == []


def test_a_restarted_store_needs_no_verification(replicated: ReplicatedStore) -> None:
    with open_ledger(replicated.primary.url) as before:
        job_id = before.add_job()
        before.heartbeat()
    replicated.primary.kill()
    replicated.primary.start()
    with open_ledger(replicated.primary.url) as after:
        after.heartbeat()
        assert not after.claim(job_id).verify_first
        assert after.status(job_id) is Status.RUNNING
