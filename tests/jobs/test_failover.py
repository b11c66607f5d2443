"""Promotion of a replica: writes it may have missed are verified first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from actors.lease_heartbeat import LeaseHeartbeat
from deploy.local.valkey import Valkey
from deploy.local.wait import until
from service.jobs.model import Status
from service.redis.client import REDIS_ERRORS
from tests.support.invariants import audit
from tests.support.ledger import HOUR, TIMES, Event, LedgerHarness, open_ledger


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
        after.heartbeat()
        after.pass_time(TIMES.lease + TIMES.settle)
        after.heartbeat()
        verification = after.claim(job_id)
        assert verification.verify_first
        assert after.finish(verification)
        assert after.claim(waiter).verify_first
        after.finish(after.claim(waiter))
        assert after.claim(other).verify_first
        assert audit(after) == []


def test_a_restarted_store_needs_no_verification(replicated: ReplicatedStore) -> None:
    with open_ledger(replicated.primary.url) as before:
        job_id = before.add_job()
        before.heartbeat()
    replicated.primary.kill()
    replicated.primary.start()
    with open_ledger(replicated.primary.url) as after:
        after.heartbeat()
        after.pass_time(TIMES.lease)
        assert not after.claim(job_id).verify_first
        assert after.status(job_id) is Status.RUNNING


def restart(server: Valkey) -> None:
    """Kill the server, and start it with what it has on disk."""
    server.kill()
    server.start()


def judge(url: str, *, durable: bool) -> int:
    """Beat as a new process until the time to compare marks is over; return the losses noticed."""
    with open_ledger(url) as after:
        after.durable = durable
        after.heartbeat()
        after.pass_time(TIMES.lease)
        after.heartbeat()
        losses: Any = after.store.hget("hg:history", "epoch")
        return int(losses or 0)


@pytest.mark.parametrize(("durable", "losses"), [(True, 0), (False, 1)])
def test_a_crash_that_no_process_outlives_may_have_lost_what_was_not_on_disk(
    tmp_path: Path, *, durable: bool, losses: int
) -> None:
    with Valkey(tmp_path) as server:
        with open_ledger(server.url) as before:
            before.durable = durable
            before.heartbeat()
        restart(server)
        assert judge(server.url, durable=durable) == losses


def test_a_crash_is_judged_alike_where_the_clock_is_behind_after_it(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server:
        # Given a worker that has beaten by a clock that is an hour ahead of the next server's
        with open_ledger(server.url) as before:
            before.durable = False
            before.heartbeat()
            before.pass_time(-HOUR)
            marks: Any = before.store.hgetall("hg:marks")
            for process, mark in marks.items():
                number, at, epoch = mark.split()
                before.store.hset(
                    "hg:marks", process, b"%s %d %s" % (number, int(at) + HOUR, epoch)
                )
        restart(server)
        assert judge(server.url, durable=False) == 1


def test_where_there_is_a_replica_nobody_can_tell_which_of_the_two_was_restarted(
    replicated: ReplicatedStore,
) -> None:
    with open_ledger(replicated.primary.url) as before:
        before.heartbeat()
    restart(replicated.primary)
    assert judge(replicated.primary.url, durable=True) == 1


@pytest.mark.parametrize("forbidden", ["+", "-"], ids=["INFO allowed", "INFO forbidden"])
def test_a_worker_that_has_missed_nothing_writes_nothing_before_the_others_are_asked(
    replicated: ReplicatedStore, forbidden: str
) -> None:
    # Given two workers, and a job that the replica has
    for server in (replicated.primary, replicated.replica):
        with redis.Redis.from_url(server.url) as store:
            store.execute_command("ACL", "SETUSER", "default", f"{forbidden}info")
    with open_ledger(replicated.primary.url) as dead, ExitStack() as stack:
        job_id = dead.add_job()
        dead.heartbeat()
        replicated.catch_up()
        # When the replica is promoted, and lacks the one's write
        replicated.promote()
        dead.finish(dead.claim_and_send(job_id))
        other = stack.enter_context(open_ledger(replicated.replica.url))
        # Then the other sends it neither at once ...
        assert other.record_intent(other.claim(job_id)) == "waiting"
        # ... nor without a lookup, when the one is not heard of in time
        for _ in range(2):
            other.pass_time(TIMES.lease + TIMES.settle)
            other.heartbeat()
        assert other.claim(job_id).verify_first


def test_only_another_server_is_asked_who_it_is(ledger: LedgerHarness) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))
    before = _calls_of_info(ledger)
    for _ in range(5):
        ledger.finish(ledger.claim_and_send(ledger.add_job()))
    assert _calls_of_info(ledger) - before == 1, "this test's own"


def _calls_of_info(ledger: LedgerHarness) -> int:
    """How often the server was sent INFO, this call included or not, but always alike."""
    found: Any = ledger.store.info("commandstats")
    return int(found.get("cmdstat_info", {"calls": 0})["calls"])


def test_a_backup_that_is_restored_while_no_process_runs_has_lost_the_rest(
    replicated: ReplicatedStore,
) -> None:
    with open_ledger(replicated.primary.url) as before:
        before.heartbeat()
        before.pass_time(HOUR)
        # The time travel leaves marks alone.
        before.store.hset("hg:marks", before.mark.process, f"1 {beat_ms(before)} 0")
    restart(replicated.primary)
    assert judge(replicated.primary.url, durable=True) == 1


def beat_ms(ledger: LedgerHarness) -> int:
    """When the last heartbeat was (unix ms)."""
    at: Any = ledger.store.hget("hg:history", "beat_at")
    return int(at)


def test_a_store_that_is_restarted_after_its_processes_were_stopped_lacks_nothing(
    replicated: ReplicatedStore,
) -> None:
    with open_ledger(replicated.primary.url) as before:
        heartbeat = LeaseHeartbeat(replicated.primary.url, TIMES)
        heartbeat._beat()
        heartbeat.stop()
        before.accept(Event("evt_1"))
        before.run(before.core.close())
        before.pass_time(HOUR)
    restart(replicated.primary)
    assert judge(replicated.primary.url, durable=False) == 0


def test_a_process_that_outlives_a_restart_knows_that_nothing_is_missing(
    replicated: ReplicatedStore,
) -> None:
    with open_ledger(replicated.primary.url) as before:
        before.durable = False
        before.heartbeat()
        restart(replicated.primary)
        until(lambda: reaches(before), 20, "the restarted store")
        assert judge(replicated.primary.url, durable=False) == 0


def reaches(ledger: LedgerHarness) -> bool:
    """Whether a heartbeat reaches the store."""
    try:
        ledger.heartbeat()
    except REDIS_ERRORS:
        return False
    return True


def test_a_worker_that_lives_on_cannot_speak_for_one_that_does_not(
    replicated: ReplicatedStore,
) -> None:
    url = replicated.primary.url
    with open_ledger(url) as survivor, open_ledger(url) as dead:
        for process in (survivor, dead):
            process.durable = False
            process.heartbeat()
        restart(replicated.primary)
        until(lambda: reaches(survivor), 20, "the restarted store")
        assert judge(url, durable=False) == 1
