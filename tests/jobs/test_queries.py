"""Lists and pages: everything once, newest first, and each waiting job says why and until when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from service.jobs.model import KINDS, Status
from service.jobs.queries import JobFilter, Page
from tests.support.job_stages import job_in
from tests.support.ledgers import HOUR, SECOND, TIMES, Books, Event, draft

Pager = Callable[[int | None], Awaitable[Page]]


def _walk(books: Books, page: Pager) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: int | None = None
    for _ in range(1000):
        found = books.run(_awaited(page, cursor))
        items += found.items
        if found.next is None:
            return items
        assert cursor is None or found.next < cursor
        cursor = found.next
    raise AssertionError("the pages never end")


async def _awaited(page: Pager, cursor: int | None) -> Page:
    return await page(cursor)


def _jobs(books: Books, only: JobFilter, limit: int = 50) -> list[str]:
    found = _walk(books, lambda cursor: books.reader.jobs(only, cursor=cursor, limit=limit))
    return [job["id"] for job in found]


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_show_every_job_once_newest_first(books: Books, limit: int) -> None:
    made = books.many(60 if limit == 1 else 1_050)

    assert _jobs(books, JobFilter(), limit) == made[::-1]


def test_a_page_that_ends_exactly_at_the_last_job_loses_and_repeats_nothing(books: Books) -> None:
    made = books.many(20)

    assert _jobs(books, JobFilter(), 10) == made[::-1]
    assert _jobs(books, JobFilter(), 20) == made[::-1]


def test_jobs_that_arrive_while_pages_are_turned_do_not_disturb_them(books: Books) -> None:
    made = books.many(30)
    first = books.run(books.reader.jobs(JobFilter(), cursor=None, limit=10))
    books.many(15)

    rest = books.run(books.reader.jobs(JobFilter(), cursor=first.next, limit=100))

    assert [job["id"] for job in [*first.items, *rest.items]] == made[::-1]


def test_filters_can_be_combined(books: Books) -> None:
    accounts, kinds, statuses = ("shop", "studio"), KINDS, (Status.SCHEDULED, Status.CANCELED)
    made = {
        (account, kind, status): {
            job_in(books, status, account=account, kind=kind) for _ in range(3)
        }
        for account, kind, status in product(accounts, kinds, statuses)
    }

    for asked in product((*accounts, None), (*kinds, None), (*statuses, None)):
        account, kind, status = asked
        expected = set[str]().union(
            *(
                ids
                for labels, ids in made.items()
                if all(wish in (label, None) for label, wish in zip(labels, asked, strict=True))
            )
        )
        found = _jobs(books, JobFilter(status, account, kind), limit=2)
        assert (len(found), set(found)) == (len(expected), expected)


def test_a_rare_match_is_found_behind_thousands_of_others(books: Books) -> None:
    rare = books.job(kind="comment", account="studio", delay_ms=HOUR)
    books.many(2_100, delay_ms=HOUR)
    only = JobFilter(Status.SCHEDULED, "studio", "comment")

    first = books.run(books.reader.jobs(only, cursor=None, limit=50))
    assert (list(first.items), first.next is None) == ([], False), "one page looks only so far"
    assert _jobs(books, only) == [rare]


def test_unknown_jobs_are_none_and_left_out_of_lists(books: Books) -> None:
    made = books.job()

    assert books.run(books.reader.job("job_unknown")) is None
    assert [r.id for r in books.run(books.reader.records(["job_unknown", made]))] == [made]
    assert _jobs(books, JobFilter(account="nobody")) == []


def test_a_waiting_job_tells_its_place_and_always_an_estimate(books: Books) -> None:
    books.claim(books.job())
    waiting = [books.job(priority=number) for number in (5, 9, 1)]

    shown = [books.shown(job_id) for job_id in waiting]
    assert [job["wait"]["position"] for job in shown] == [1, 0, 2]
    assert {job["wait"]["reason"] for job in shown} == {"turn"}
    until = [datetime.fromisoformat(job["wait"]["until"]) for job in shown]
    assert datetime.now(UTC) < until[1] < until[0] < until[2]


def test_a_job_that_waits_for_a_moment_tells_that_moment(books: Books) -> None:
    job_id = job_in(books, Status.WAITING)

    job = books.shown(job_id)
    until = datetime.fromisoformat(job["wait"]["until"])
    assert 0 < (until - datetime.now(UTC)).total_seconds() <= HOUR / 1000
    for status in (Status.QUEUED, Status.SUCCEEDED):
        other = books.shown(job_in(books, status, account=status))
        assert other["wait"] is None


def test_a_held_job_tells_who_is_waited_for(books: Books) -> None:
    job = books.shown(job_in(books, Status.HELD))

    assert job["wait"] == {"reason": "paused", "until": None, "position": None}


def test_the_timeline_keeps_the_last_two_hundred_changes(books: Books) -> None:
    job_id = books.job()
    for _ in range(110):
        books.release(books.claim(job_id), Status.QUEUED, charge="free")

    path = books.path(job_id)
    assert len(path) == 200
    assert path[-2:] == ["running", "queued"]


def test_the_timeline_says_when_who_and_why(books: Books) -> None:
    job_id = books.job()
    books.finish(books.sending(job_id, "host:1:abc:7"))

    timeline = books.run(books.reader.timeline(job_id))
    assert [(step["status"], step["by"], step["why"]) for step in timeline] == [
        ("queued", "accept", None),
        ("running", "host:1:abc:7", None),
        ("sending", "host:1:abc:7", "intent"),
        ("succeeded", "host:1:abc:7", None),
    ]
    moments = [step["at"] for step in timeline]
    assert moments == sorted(moments)
    assert all(moment.endswith("Z") for moment in moments)


def test_an_event_id_is_found_in_every_source_that_knows_it(books: Books) -> None:
    for source in ("stripe", "paddle"):
        books.accept(Event("evt_1"), draft(), source=source)
    books.accept(Event("evt_2"), source="github")

    found = books.run(books.reader.events_named("evt_1"))
    assert [event.source for event in found] == ["paddle", "stripe"]
    assert books.run(books.reader.events_named("evt_9")) == []


def test_pages_of_events_show_every_event_once(books: Books) -> None:
    ids = [f"evt_{number}" for number in range(45)]
    for event_id in ids:
        books.accept(Event(event_id))

    found = _walk(books, lambda cursor: books.reader.events(cursor=cursor, limit=10))
    assert [event["id"] for event in found] == ids[::-1]
    assert found[0]["status"] == "accepted"


def test_the_body_of_an_event_goes_before_its_record(books: Books) -> None:
    books.accept(Event("evt_1"), body=b'{"private": true}')
    books.pass_time(TIMES.keep_bodies + SECOND)

    assert books.run(books.reader.event_body("stripe", "evt_1")) is None
    assert len(books.run(books.reader.events_named("evt_1"))) == 1
