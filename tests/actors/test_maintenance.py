"""Periodic work: once per scheduled time, however many schedulers there are."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.middleware import CurrentMessage
from structlog.testing import capture_logs

from actors import maintenance
from actors.runtime import Runtime
from service.jobs.model import Status
from tests.support.ledger import Event, LedgerHarness
from tests.support.runtime import make_runtime


@pytest.fixture
def runtime(ledger: LedgerHarness) -> Iterator[Runtime]:
    runtime = make_runtime(ledger)
    yield runtime
    runtime.heartbeat.stop()


def run(ledger: LedgerHarness, work: Any, runtime: Runtime, scheduled_at: str | None) -> None:
    """Do periodic work for a message that a scheduler sent at some time, or a person by hand."""
    options = {} if scheduled_at is None else {"scheduled_at": scheduled_at}
    message: Message[Any] = Message("maintenance", "periodic", (), {}, options)

    async def process() -> None:
        CurrentMessage().before_process_message(None, MessageProxy(message))  # type: ignore[no-untyped-call]
        await work(runtime)

    contextvars.copy_context().run(ledger.run, process())


@pytest.mark.parametrize(
    ("times", "runs"),
    [
        (["2026-01-01 00:00", "2026-01-01 00:00"], 1),
        (["2026-01-01 00:00", "2026-01-01 00:10"], 2),
        ([None, None], 2),
    ],
    ids=["two schedulers", "two times", "by hand"],
)
def test_retention_runs_once_per_scheduled_time(
    ledger: LedgerHarness, runtime: Runtime, times: list[str | None], runs: int
) -> None:
    with capture_logs() as lines:
        for scheduled_at in times:
            run(ledger, maintenance.retention, runtime, scheduled_at)

    assert len(lines) == runs


def test_a_job_that_nothing_would_wake_is_rescued_and_logged(
    ledger: LedgerHarness, runtime: Runtime
) -> None:
    # Given a queued job without a message and without an entry for its next wake-up
    job_id = ledger.add_job()
    ledger.take_messages()
    ledger.store.delete("hg:wakes")
    # When the rescue runs
    with capture_logs() as lines:
        run(ledger, maintenance.rescue, runtime, "2026-01-01 00:00")
    # Then it is reported as a defect, and woken
    [line] = lines
    assert (line["log_level"], line["count"]) == ("error", 1)
    assert job_id in line["first"][0]
    ledger.heartbeat()
    assert ledger.take_messages() == [job_id]
    assert ledger.status(job_id) is Status.QUEUED


def test_a_rescue_lists_jobs_of_an_older_release_under_their_persons_and_in_all_indexes(
    ledger: LedgerHarness, runtime: Runtime
) -> None:
    job_id = ledger.add_job()
    ledger.store.hdel(f"hg:job:{job_id}", "who")
    [index] = ledger.store.keys("hg:who:*")
    ledger.store.delete(index, "hg:jobs:rule:thank-you")

    with capture_logs() as logs:
        run(ledger, maintenance.rescue, runtime, None)

    assert ledger.store.zrange(index, 0, -1) == [job_id.encode()]
    assert ledger.store.zrange("hg:jobs:rule:thank-you", 0, -1) == [job_id.encode()]
    assert [(line["event"], line["under_persons"], line["in_indexes"]) for line in logs] == [
        ("listed records", 1, 1)
    ]


def test_a_rescue_lists_events_of_an_older_release_in_all_indexes(
    ledger: LedgerHarness, runtime: Runtime
) -> None:
    ledger.accept(Event("evt_1"))
    index = f"hg:events:type:{Event('evt_1').type}"
    ledger.store.delete(index)

    with capture_logs() as logs:
        run(ledger, maintenance.rescue, runtime, None)

    assert ledger.store.zrange(index, 0, -1) == [b"stripe:evt_1"]
    assert [(line["event"], line["events"]) for line in logs] == [("listed records", 1)]
