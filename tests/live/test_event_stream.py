"""The feed: every entry of every timeline, once and numbered, in the step that writes it."""

from __future__ import annotations

import json
import time
from typing import Any

from service.jobs.lua.builder import assembled
from service.jobs.model import FINAL, Status
from service.live.event_stream import START, STREAM_KEY, JobEventStream, StreamEntry
from tests.support.job_stages import job_in
from tests.support.ledgers import DAY, FAILURE, RESULT, SECOND, TIMES, Books

#: What a script of another piece does: no state changes, and listeners hear how far the job is.
PROGRESS = """#!lua
progress(load_job(ARGV[1]), cjson.decode(ARGV[2]), clock())
"""


def entries(books: Books, after: str = START) -> list[StreamEntry]:
    """Everything that the feed tells."""
    found = books.run(JobEventStream(books.client).read_after(after, 10_000))
    return [entry for _, entry in found if entry is not None]


def data(entry: StreamEntry) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(entry.data)
    return told


def is_whole_after(books: Books, position: str) -> bool:
    return books.run(JobEventStream(books.client).is_complete_after(position))


def test_every_entry_of_a_timeline_is_told_once_with_its_number(books: Books) -> None:
    claim = books.sending(books.job())
    books.release(claim, Status.SENDING, after_ms=SECOND)
    books.pass_time(SECOND)
    books.finish(books.claim(claim.id))

    told = entries(books)
    assert [entry.number for entry in told] == list(range(1, len(told) + 1))
    assert {entry.job_id for entry in told} == {claim.id}
    timeline = books.run(books.reader.timeline(claim.id))
    assert [{"id": claim.id, **line} for line in timeline] == [
        {name: value for name, value in data(entry).items() if name not in ("result", "error")}
        for entry in told
    ]
    assert [entry.event for entry in told] == ["change"] * (len(told) - 1) + ["end"]


def test_an_end_says_what_came_of_the_job(books: Books) -> None:
    books.finish(books.sending(books.job()))
    books.finish(books.sending(books.job(account="studio")), Status.FAILED)
    done, failed = (data(entry) for entry in entries(books) if entry.event == "end")
    assert (done["result"], done["error"]) == (RESULT, None)
    assert (failed["result"], failed["error"]["code"]) == (None, FAILURE.code)


def test_every_final_state_is_an_end(books: Books) -> None:
    for number, status in enumerate(sorted(FINAL)):
        job_in(books, status, account=f"account-{number}")
        last = entries(books)[-1]
        assert (last.event, data(last)["status"]) == ("end", status)


def test_an_outcome_too_long_for_the_feed_is_named_and_not_carried(books: Books) -> None:
    claim = books.sending(books.job())
    long = {"message_id": "m" * 4_000}
    books.run(books.claims.finish(claim, Status.SUCCEEDED, result=long, failure=None))
    end = entries(books)[-1]
    assert (end.event, end.is_complete) == ("end", False)
    assert (data(end)["result"], data(end)["job_url"]) == (None, f"/jobs/{claim.id}")
    assert len(end.data) < 400


def test_numbers_go_on_where_the_timeline_is_trimmed(books: Books) -> None:
    # Given a job with more changes than its timeline keeps
    job_id = books.job()
    for _ in range(110):
        claim = books.claim(job_id)
        books.release(claim, Status.WAITING, after_ms=SECOND, charge="free")
        books.pass_time(SECOND)
        books.tick()
    told = [entry.number for entry in entries(books)]

    # Then every change has a number of its own, the same in the feed and in the history
    assert told == list(range(1, len(told) + 1))
    assert len(told) > 220
    history = books.run(books.reader.history(job_id))
    assert history is not None
    assert (history.first, history.last) == (len(told) - 199, len(told))
    feed = {str(entry.number): entry.data for entry in entries(books)}
    assert all(feed[str(message.id)] == message.data for message in history.after(0))


def test_a_record_of_a_release_without_numbers_is_counted_by_its_timeline(books: Books) -> None:
    # Given a job of which an older release wrote a part, and no word of it in the feed
    claim = books.claim(books.job())
    books.store.rpush(f"hg:jobtl:{claim.id}", json.dumps(["1", "running", "older", ""]))

    books.intend(claim)

    assert entries(books)[-1].number == 4
    history = books.run(books.reader.history(claim.id))
    assert history is not None
    assert (history.first, history.last) == (1, 4)


def test_progress_is_told_and_changes_nothing(books: Books) -> None:
    job_id = books.job()
    before, path = books.shown(job_id), books.path(job_id)
    position = entries(books)[-1].position

    news = {"pages": 3, "users": 150, "expected": 2450}
    books.store.eval(assembled(PROGRESS, TIMES).text, 0, job_id, json.dumps(news))

    (entry,) = entries(books, position)
    assert (entry.event, entry.number, entry.job_id) == ("progress", 0, job_id)
    assert data(entry)["progress"] == news
    assert (entry.as_job_update.id, entry.as_feed_update.id) == (None, entry.position)
    assert (books.shown(job_id), books.path(job_id)) == (before, path)


def test_what_only_a_newer_release_understands_is_passed_over(books: Books) -> None:
    books.store.xadd(STREAM_KEY, {"job": "job_x", "mood": "good"}, id="5-0")
    assert entries(books) == []
    assert books.run(JobEventStream(books.client).read_after(START, 10)) == [("5-0", None)]


def test_the_feed_keeps_the_latest_few_thousand(books: Books) -> None:
    with books.store.pipeline(transaction=False) as pipe:
        for _ in range(6_000):
            pipe.xadd(STREAM_KEY, {"job": "job_x", "at": "1", "n": "1"})
        pipe.execute()
    books.job()
    assert 5_000 <= books.store.xlen(STREAM_KEY) < 5_300


def test_the_feed_forgets_with_the_jobs(books: Books) -> None:
    long_ago = int(time.time() * 1000) - TIMES.keep - DAY
    books.store.xadd(STREAM_KEY, {"job": "job_x"}, id=f"{long_ago}-0")
    books.job()
    books.run(books.ledger.prune())
    assert [entry.number for entry in entries(books)] == [1]
    assert books.store.xlen(STREAM_KEY) == 1


def test_a_gap_is_known_where_entries_are_gone_and_nowhere_else(books: Books) -> None:
    assert is_whole_after(books, START)
    assert not is_whole_after(books, "5-0")  # of a store that has forgotten

    books.job()
    first = entries(books)[0].position
    books.sending(books.job(account="studio"))
    last = entries(books)[-1].position
    assert is_whole_after(books, START)
    assert is_whole_after(books, first)
    assert is_whole_after(books, last)
    assert not is_whole_after(books, "9999999999999-0")

    books.store.xtrim(STREAM_KEY, maxlen=1, approximate=False)
    assert not is_whole_after(books, START)
    assert not is_whole_after(books, first)
    assert is_whole_after(books, last)

    books.store.xtrim(STREAM_KEY, maxlen=0, approximate=False)
    assert not is_whole_after(books, first)
    assert is_whole_after(books, last)
