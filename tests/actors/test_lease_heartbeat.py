"""The heartbeat's beats, over a real store and in real time: what is due, and how often."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import redis
from structlog.testing import capture_logs

from actors.lease_heartbeat import (
    BEAT_BATCH,
    INTERVAL_SECONDS,
    RENEWED_AT_ONCE,
    Lease,
    LeaseHeartbeat,
    start_heartbeat,
)
from deploy.local.wait import until
from service.jobs.lua.heartbeat import HeartbeatReply
from service.jobs.model import Status
from tests.support.ledger import TIMES, LedgerHarness

#: Due at no full second, and closer together than the heartbeat's own beats.
DELAYS_MS = (150, 700, 850, 1300, 1350)
#: Well within a second on a machine with time to spare; this one may have none.
LATEST = timedelta(seconds=5)


class Heartbeats:
    """Heartbeats that beat at the same time, as those of many workers do."""

    def __init__(self, url: str, count: int) -> None:
        self._heartbeats: list[LeaseHeartbeat] = [start_heartbeat(url, TIMES) for _ in range(count)]

    def close(self) -> None:
        """Stop them all."""
        for heartbeat in self._heartbeats:
            heartbeat.stop()


@pytest.mark.parametrize("workers", [1, 3])
def test_jobs_are_queued_soon_after_their_time_and_once(
    ledger: LedgerHarness, store_url: str, workers: int
) -> None:
    with closing(Heartbeats(store_url, workers)):
        jobs = [ledger.add_job(delay_ms=ms, account=f"account-{ms}") for ms in DELAYS_MS]
        until(lambda: all(ledger.status(job) is Status.QUEUED for job in jobs), 10, "the queue")

    for job_id in jobs:
        [_, queued] = ledger.run(ledger.queries.timeline(job_id))
        due = datetime.fromtimestamp(ledger.record(job_id).run_at_ms / 1000, UTC)
        assert due <= datetime.fromisoformat(queued["at"]) < due + LATEST
    assert sorted(ledger.take_messages()) == sorted(jobs)


def test_the_next_beat_is_when_the_next_job_is_due(ledger: LedgerHarness, store_url: str) -> None:
    heartbeat = LeaseHeartbeat(store_url, TIMES)
    assert heartbeat._beat() == INTERVAL_SECONDS

    ledger.add_job(delay_ms=400)
    assert 0 < heartbeat._beat() <= 0.4
    heartbeat.stop()


def test_the_next_beat_follows_at_once_while_more_is_due(
    ledger: LedgerHarness, store_url: str
) -> None:
    heartbeat = LeaseHeartbeat(store_url, TIMES)
    jobs = ledger.add_jobs(BEAT_BATCH + 1, apart=True, delay_ms=1000)
    ledger.pass_time(1000)

    assert heartbeat._beat() == 0
    assert len(ledger.take_messages()) == BEAT_BATCH < len(jobs)
    heartbeat._beat()
    assert len(ledger.take_messages()) == 1
    heartbeat.stop()


def test_a_time_a_year_ahead_is_met_by_whichever_worker_beats_then(
    ledger: LedgerHarness, store_url: str
) -> None:
    year = 365 * 24 * 3600 * 1000
    job_id = ledger.add_job(delay_ms=year)
    ledger.pass_time(year - 400)
    with closing(Heartbeats(store_url, 2)):
        until(lambda: ledger.status(job_id) is Status.QUEUED, 10, "the queue")
    assert ledger.take_messages() == [job_id]


def test_beats_are_closer_together_when_leases_are_short(store_url: str) -> None:
    async def beats(lease_ms: int) -> float:
        heartbeat = LeaseHeartbeat(store_url, replace(TIMES, lease=lease_ms))
        heartbeat._scripts.run = quiet_reply  # type: ignore[assignment]
        try:
            return heartbeat._beat()
        finally:
            heartbeat.stop()

    def quiet_reply(_call: Any) -> HeartbeatReply:
        return HeartbeatReply(lost=set(), done=0, next_ms=None, loss=None)

    assert asyncio.run(beats(2000)) == 0.5
    assert asyncio.run(beats(60_000)) == INTERVAL_SECONDS


def test_a_beat_that_fails_for_an_unexpected_reason_is_not_the_last(store_url: str) -> None:
    beats: list[str] = []

    def fails_once(_call: Any) -> HeartbeatReply:
        beats.append("beat")
        if len(beats) == 1:
            raise ValueError("unexpected")
        return HeartbeatReply(lost=set(), done=0, next_ms=10, loss=None)

    heartbeat = LeaseHeartbeat(store_url, TIMES)
    heartbeat._scripts.run = fails_once  # type: ignore[assignment]
    with capture_logs() as lines:
        heartbeat.start()
        until(lambda: len(beats) > 1, 10, "the next beat")
        heartbeat.stop()
    assert [line["event"] for line in lines] == ["heartbeat failed"]


def test_the_heartbeat_prunes_what_nobody_else_does(
    ledger: LedgerHarness, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.lease_heartbeat.PRUNE_SECONDS", 0.1)
    job_id = ledger.add_job()
    ledger.finish(ledger.claim(job_id))
    ledger.pass_time(TIMES.keep + 1000)
    with closing(Heartbeats(store_url, 1)):
        until(lambda: not ledger.store.exists(f"hg:job:{job_id}"), 10, "the end of the record")


def test_a_loss_of_history_is_an_error_in_the_log_once(store_url: str, store: redis.Redis) -> None:
    heartbeat = LeaseHeartbeat(store_url, TIMES)
    try:
        heartbeat._beat()
        # When the store has lost everything that it knew
        store.flushdb()
        with capture_logs() as lines:
            for _ in range(3):
                heartbeat._beat()
    finally:
        heartbeat.stop()
    assert [(line["log_level"], line["cause"]) for line in lines] == [("error", "mark")]


def test_a_thousand_leases_are_renewed_in_several_round_trips(
    ledger: LedgerHarness, store_url: str
) -> None:
    # Given a worker with more claims than one round trip renews
    claims = [ledger.claim(job) for job in ledger.add_jobs(2 * RENEWED_AT_ONCE + 1, apart=True)]
    ledger.pass_time(TIMES.lease // 2)
    before = _first_lease_ends(ledger)

    async def scenario() -> int:
        heartbeat = LeaseHeartbeat(store_url, TIMES, ledger.mark)
        for claim in claims:
            lease = a_lease(claim.id, claim.owner, claim.fence)
            heartbeat._leases[claim.id] = lease
        heartbeat._beat()  # asks for the settings of the store, too
        ledger.store.config_resetstat()
        heartbeat._beat()
        heartbeat.stop()
        return int(ledger.store.info("commandstats")["cmdstat_fcall"]["calls"])

    # When it beats, then all are renewed, some at a time
    assert asyncio.run(scenario()) == 3
    assert _first_lease_ends(ledger) > before


def _first_lease_ends(ledger: LedgerHarness) -> float:
    """When the first of all leases ends, in unix ms."""
    [(_, score)] = cast("list[Any]", ledger.store.zrange("hg:leases", 0, 0, withscores=True))
    return float(score)


def a_lease(work_id: str, owner: str, fence: int) -> Lease:
    """A lease of ten seconds for the current task."""
    task = asyncio.current_task()
    assert task is not None
    return Lease(work_id, owner, fence, task, asyncio.get_running_loop(), time.monotonic(), 10.0)
