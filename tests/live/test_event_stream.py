"""The job event stream: every timeline entry once, numbered, in the step that writes it."""

from __future__ import annotations

import json
import time
from typing import Any

from service.jobs.model import FINAL, Status
from service.live.event_stream import START, STREAM_KEY, JobEventStream, StreamEntry
from tests.support.job_states import job_in
from tests.support.ledger import DAY, FAILURE, RESULT, TIMES, LedgerHarness
from tests.support.lua import run_lua

#: Like a script that reports progress: no status changes, and subscribers get the progress.
PROGRESS = "publish_progress(load_job(ARGV[1]), cjson.decode(ARGV[2]), now_ms())"


def entries(ledger: LedgerHarness, after: str = START) -> list[StreamEntry]:
    """All entries of the stream."""
    found = ledger.run(JobEventStream(ledger.client).read_after(after, 10_000))
    return [entry for _, entry in found if entry is not None]


def data(entry: StreamEntry) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(entry.data)
    return fields


def is_complete_after(ledger: LedgerHarness, position: str) -> bool:
    return ledger.run(JobEventStream(ledger.client).is_complete_after(position))


def test_every_timeline_entry_is_streamed_once_with_its_number(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    ledger.release(claim, Status.SENDING)
    ledger.finish(ledger.claim(claim.id))

    streamed = entries(ledger)
    assert [entry.number for entry in streamed] == list(range(1, len(streamed) + 1))
    assert {entry.job_id for entry in streamed} == {claim.id}
    timeline = ledger.run(ledger.queries.timeline(claim.id))
    assert [{"id": claim.id, **line} for line in timeline] == [
        {name: value for name, value in data(entry).items() if name not in ("result", "error")}
        for entry in streamed
    ]
    assert [entry.event for entry in streamed] == ["change"] * (len(streamed) - 1) + ["end"]


def test_an_end_entry_carries_the_outcome(ledger: LedgerHarness) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))
    ledger.finish(ledger.claim_and_send(ledger.add_job(account="studio")), Status.FAILED)
    done, failed = (data(entry) for entry in entries(ledger) if entry.event == "end")
    assert (done["result"], done["error"]) == (RESULT, None)
    assert (failed["result"], failed["error"]["code"]) == (None, FAILURE.code)


def test_every_final_state_is_an_end_entry(ledger: LedgerHarness) -> None:
    for number, status in enumerate(sorted(FINAL)):
        job_in(ledger, status, account=f"account-{number}")
        last = entries(ledger)[-1]
        assert (last.event, data(last)["status"]) == ("end", status)


def test_an_outcome_too_large_for_the_stream_is_replaced_by_a_url(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    long = {"message_id": "m" * 4_000}
    ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result=long, failure=None))
    end = entries(ledger)[-1]
    assert (end.event, end.is_complete) == ("end", False)
    assert (data(end)["result"], data(end)["job_url"]) == (None, f"/jobs/{claim.id}")
    assert len(end.data) < 400


def test_numbers_continue_when_the_timeline_is_trimmed(ledger: LedgerHarness) -> None:
    # Given a job with more changes than its timeline keeps
    job_id = ledger.add_job()
    for _ in range(110):
        claim = ledger.claim(job_id)
        ledger.release(claim, Status.WAITING, charge="free")
        ledger.heartbeat()
    numbers = [entry.number for entry in entries(ledger)]

    # Then every change has its own number, the same in the stream and in the history
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 220
    history = ledger.run(ledger.queries.history(job_id))
    assert history is not None
    assert (history.first, history.last) == (len(numbers) - 199, len(numbers))
    streamed = {str(entry.number): entry.data for entry in entries(ledger)}
    assert all(streamed[str(message.id)] == message.data for message in history.after(0))


def test_a_record_without_numbers_is_numbered_by_its_timeline(
    ledger: LedgerHarness,
) -> None:
    # Given a job with an entry of an older release that is not in the stream
    claim = ledger.claim(ledger.add_job())
    ledger.store.rpush(f"hg:jobtl:{claim.id}", json.dumps(["1", "running", "older", ""]))

    ledger.record_intent(claim)

    assert entries(ledger)[-1].number == 4
    history = ledger.run(ledger.queries.history(claim.id))
    assert history is not None
    assert (history.first, history.last) == (1, 4)


def test_progress_is_streamed_and_changes_nothing(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    before, statuses = ledger.api_job(job_id), ledger.statuses(job_id)
    position = entries(ledger)[-1].position

    progress = {"pages": 3, "users": 150, "expected": 2450}
    run_lua(ledger.store, PROGRESS, job_id, json.dumps(progress))

    (entry,) = entries(ledger, position)
    assert (entry.event, entry.number, entry.job_id) == ("progress", 0, job_id)
    assert data(entry)["progress"] == progress
    assert (entry.as_job_update.id, entry.as_feed_update.id) == (None, entry.position)
    assert (ledger.api_job(job_id), ledger.statuses(job_id)) == (before, statuses)


def test_entries_of_a_newer_release_are_skipped(ledger: LedgerHarness) -> None:
    ledger.store.xadd(STREAM_KEY, {"job": "job_x", "mood": "good"}, id="5-0")
    assert entries(ledger) == []
    assert ledger.run(JobEventStream(ledger.client).read_after(START, 10)) == [("5-0", None)]


def test_the_stream_keeps_the_latest_few_thousand_entries(ledger: LedgerHarness) -> None:
    with ledger.store.pipeline(transaction=False) as pipe:
        for _ in range(6_000):
            pipe.xadd(STREAM_KEY, {"job": "job_x", "at": "1", "n": "1"})
        pipe.execute()
    ledger.add_job()
    assert 5_000 <= ledger.store.xlen(STREAM_KEY) < 5_300


def test_the_stream_is_pruned_with_the_jobs(ledger: LedgerHarness) -> None:
    long_ago = int(time.time() * 1000) - TIMES.keep - DAY
    ledger.store.xadd(STREAM_KEY, {"job": "job_x"}, id=f"{long_ago}-0")
    ledger.add_job()
    ledger.run(ledger.core.prune())
    assert [entry.number for entry in entries(ledger)] == [1]
    assert ledger.store.xlen(STREAM_KEY) == 1


def test_only_missing_entries_make_the_stream_incomplete(ledger: LedgerHarness) -> None:
    assert is_complete_after(ledger, START)
    assert not is_complete_after(ledger, "5-0")  # from before the store lost its data

    ledger.add_job()
    first = entries(ledger)[0].position
    ledger.claim_and_send(ledger.add_job(account="studio"))
    last = entries(ledger)[-1].position
    assert is_complete_after(ledger, START)
    assert is_complete_after(ledger, first)
    assert is_complete_after(ledger, last)
    assert not is_complete_after(ledger, "9999999999999-0")

    ledger.store.xtrim(STREAM_KEY, maxlen=1, approximate=False)
    assert not is_complete_after(ledger, START)
    assert not is_complete_after(ledger, first)
    assert is_complete_after(ledger, last)

    ledger.store.xtrim(STREAM_KEY, maxlen=0, approximate=False)
    assert not is_complete_after(ledger, first)
    assert is_complete_after(ledger, last)
