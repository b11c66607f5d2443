"""A replica that lags is promoted: no DM and no comment is written again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.local.instagram.client import FakeInstagram
from deploy.local.wait import until
from service.jobs.model import Status
from service.redis.client import REDIS_ERRORS
from tests.chaos.failover import Failover, by_moving_the_address, by_restarting_the_replica
from tests.chaos.store_servers import binaries
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.invariants import audit
from tests.support.ledger import HOUR, SECOND, Event, draft

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

RECIPIENT: Final = "some.handle"
#: Longer than any test: what the replica has not received by then it never gets.
FOREVER: Final = 600.0


@pytest.fixture
def failover(tmp_path: Path) -> Iterator[Failover]:
    failover = Failover(binaries()["valkey"], tmp_path)
    with failover.open():
        yield failover


def reach(worker: AccountWorker, job_id: str) -> None:
    """Wait until the worker's clients have noticed that the address has moved."""

    def answers() -> bool:
        try:
            worker.ledger.heartbeat()
            worker.ledger.record(job_id)
        except REDIS_ERRORS:
            return False
        return True

    until(answers, 20, "the promoted replica")


@pytest.mark.parametrize(
    "promote",
    [by_moving_the_address, by_restarting_the_replica],
    ids=["promoted", "promoted and restarted"],
)
def test_nothing_is_written_twice_whatever_the_replica_had_missed(
    failover: Failover, fake_instagram: FakeInstagram, promote: Callable[[Failover], None]
) -> None:
    with open_account_worker(failover.url, fake_instagram) as worker:
        for name in (RECIPIENT, "another"):
            fake_instagram.add_user(name)
        post = fake_instagram.add_media("another", 3141592653589793)
        assert worker.attempt(worker.ledger.add_job(to="another")).status is Status.SUCCEEDED
        # Given jobs that the replica has: scheduled, waiting for a retry, and in line
        later = {"delay_ms": SECOND}
        jobs = [worker.ledger.add_job(text=f"scheduled {n}", **later) for n in range(3)]
        jobs.append(worker.ledger.add_job(kind="comment", to=None, post=post, text="hm", **later))
        fake_instagram.fault("broadcast_text", error="unauthorized")
        jobs.append(worker.attempt(worker.ledger.add_job(text="retried")).id)
        jobs += [worker.ledger.add_job(text=f"in line {n}") for n in range(3)]
        worker.ledger.heartbeat()
        failover.catch_up()
        # When the replica misses that they are written, and a new event
        failover.line.stall(FOREVER)
        jobs += worker.ledger.accept(Event("evt_1"), draft(text="new")).jobs
        worker.run_due(SECOND)
        worker.run_due(HOUR)
        assert {worker.ledger.status(job_id) for job_id in jobs} == {Status.SUCCEEDED}
        failover.primary.kill()
        promote(failover)
        # And the event is sent again
        reach(worker, jobs[0])
        worker.ledger.accept(Event("evt_1"), draft(text="new"))
        for _ in range(3):
            worker.run_due(HOUR)
        # Then each job ends well, and everything was written once
        assert {worker.ledger.status(job_id) for job_id in jobs} == {Status.SUCCEEDED}
        written = Counter(dm["text"] for dm in fake_instagram.dms())
        written.update(comment["text"] for comment in fake_instagram.comments())
        assert set(written.values()) == {1}
        assert len(written) == len(jobs) + 1
        assert audit(worker.ledger) == []
