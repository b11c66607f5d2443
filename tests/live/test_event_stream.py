"""The feed: every entry of every timeline, once and numbered, in the step that writes it."""

from __future__ import annotations

import json
import time
from typing import Any

from service.jobs.model import FINAL, Status
from service.live.event_stream import START, STREAM_KEY, JobEventStream, StreamEntry
from tests.support.job_states import job_in
from tests.support.ledger import DAY, FAILURE, RESULT, SECOND, TIMES, LedgerHarness
from tests.support.lua import run_lua

#: What a script of another piece does: no state changes, and listeners hear how far the job is.
PROGRESS = "publish_progress(load_job(ARGV[1]), cjson.decode(ARGV[2]), now_ms())"


def entries(ledger: LedgerHarness, after: str = START) -> list[StreamEntry]:
    """Everything that the feed tells."""
    found = ledger.run(JobEventStream(ledger.client).read_after(after, 10_000))
    return [entry for _, entry in found if entry is not None]


def data(entry: StreamEntry) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(entry.data)
    return told


def is_whole_after(ledger: LedgerHarness, position: str) -> bool:
    return ledger.run(JobEventStream(ledger.client).is_complete_after(position))


def test_every_entry_of_a_timeline_is_told_once_with_its_number(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    ledger.release(claim, Status.SENDING, after_ms=SECOND)
    ledger.pass_time(SECOND)
    ledger.finish(ledger.claim(claim.id))

    told = entries(ledger)
    assert [entry.number for entry in told] == list(range(1, len(told) + 1))
    assert {entry.job_id for entry in told} == {claim.id}
    timeline = ledger.run(ledger.queries.timeline(claim.id))
    assert [{"id": claim.id, **line} for line in timeline] == [
        {name: value for name, value in data(entry).items() if name not in ("result", "error")}
        for entry in told
    ]
    assert [entry.event for entry in told] == ["change"] * (len(told) - 1) + ["end"]


def test_an_end_says_what_came_of_the_job(ledger: LedgerHarness) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))
    ledger.finish(ledger.claim_and_send(ledger.add_job(account="studio")), Status.FAILED)
    done, failed = (data(entry) for entry in entries(ledger) if entry.event == "end")
    assert (done["result"], done["error"]) == (RESULT, None)
    assert (failed["result"], failed["error"]["code"]) == (None, FAILURE.code)


def test_every_final_state_is_an_end(ledger: LedgerHarness) -> None:
    for number, status in enumerate(sorted(FINAL)):
        job_in(ledger, status, account=f"account-{number}")
        last = entries(ledger)[-1]
        assert (last.event, data(last)["status"]) == ("end", status)


def test_an_outcome_too_long_for_the_feed_is_named_and_not_carried(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    long = {"message_id": "m" * 4_000}
    ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result=long, failure=None))
    end = entries(ledger)[-1]
    assert (end.event, end.is_complete) == ("end", False)
    assert (data(end)["result"], data(end)["job_url"]) == (None, f"/jobs/{claim.id}")
    assert len(end.data) < 400


def test_numbers_go_on_where_the_timeline_is_trimmed(ledger: LedgerHarness) -> None:
    # Given a job with more changes than its timeline keeps
    job_id = ledger.add_job()
    for _ in range(110):
        claim = ledger.claim(job_id)
        ledger.release(claim, Status.WAITING, after_ms=SECOND, charge="free")
        ledger.pass_time(SECOND)
        ledger.heartbeat()
    told = [entry.number for entry in entries(ledger)]

    # Then every change has a number of its own, the same in the feed and in the history
    assert told == list(range(1, len(told) + 1))
    assert len(told) > 220
    history = ledger.run(ledger.queries.history(job_id))
    assert history is not None
    assert (history.first, history.last) == (len(told) - 199, len(told))
    feed = {str(entry.number): entry.data for entry in entries(ledger)}
    assert all(feed[str(message.id)] == message.data for message in history.after(0))


def test_a_record_of_a_release_without_numbers_is_counted_by_its_timeline(
    ledger: LedgerHarness,
) -> None:
    # Given a job of which an older release wrote a part, and no word of it in the feed
    claim = ledger.claim(ledger.add_job())
    ledger.store.rpush(f"hg:jobtl:{claim.id}", json.dumps(["1", "running", "older", ""]))

    ledger.record_intent(claim)

    assert entries(ledger)[-1].number == 4
    history = ledger.run(ledger.queries.history(claim.id))
    assert history is not None
    assert (history.first, history.last) == (1, 4)


def test_progress_is_told_and_changes_nothing(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    before, path = ledger.api_job(job_id), ledger.statuses(job_id)
    position = entries(ledger)[-1].position

    news = {"pages": 3, "users": 150, "expected": 2450}
    run_lua(ledger.store, PROGRESS, job_id, json.dumps(news))

    (entry,) = entries(ledger, position)
    assert (entry.event, entry.number, entry.job_id) == ("progress", 0, job_id)
    assert data(entry)["progress"] == news
    assert (entry.as_job_update.id, entry.as_feed_update.id) == (None, entry.position)
    assert (ledger.api_job(job_id), ledger.statuses(job_id)) == (before, path)


def test_what_only_a_newer_release_understands_is_passed_over(ledger: LedgerHarness) -> None:
    ledger.store.xadd(STREAM_KEY, {"job": "job_x", "mood": "good"}, id="5-0")
    assert entries(ledger) == []
    assert ledger.run(JobEventStream(ledger.client).read_after(START, 10)) == [("5-0", None)]


def test_the_feed_keeps_the_latest_few_thousand(ledger: LedgerHarness) -> None:
    with ledger.store.pipeline(transaction=False) as pipe:
        for _ in range(6_000):
            pipe.xadd(STREAM_KEY, {"job": "job_x", "at": "1", "n": "1"})
        pipe.execute()
    ledger.add_job()
    assert 5_000 <= ledger.store.xlen(STREAM_KEY) < 5_300


def test_the_feed_forgets_with_the_jobs(ledger: LedgerHarness) -> None:
    long_ago = int(time.time() * 1000) - TIMES.keep - DAY
    ledger.store.xadd(STREAM_KEY, {"job": "job_x"}, id=f"{long_ago}-0")
    ledger.add_job()
    ledger.run(ledger.core.prune())
    assert [entry.number for entry in entries(ledger)] == [1]
    assert ledger.store.xlen(STREAM_KEY) == 1


def test_a_gap_is_known_where_entries_are_gone_and_nowhere_else(ledger: LedgerHarness) -> None:
    assert is_whole_after(ledger, START)
    assert not is_whole_after(ledger, "5-0")  # of a store that has forgotten

    ledger.add_job()
    first = entries(ledger)[0].position
    ledger.claim_and_send(ledger.add_job(account="studio"))
    last = entries(ledger)[-1].position
    assert is_whole_after(ledger, START)
    assert is_whole_after(ledger, first)
    assert is_whole_after(ledger, last)
    assert not is_whole_after(ledger, "9999999999999-0")

    ledger.store.xtrim(STREAM_KEY, maxlen=1, approximate=False)
    assert not is_whole_after(ledger, START)
    assert not is_whole_after(ledger, first)
    assert is_whole_after(ledger, last)

    ledger.store.xtrim(STREAM_KEY, maxlen=0, approximate=False)
    assert not is_whole_after(ledger, first)
    assert is_whole_after(ledger, last)
