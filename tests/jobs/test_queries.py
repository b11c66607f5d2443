"""Lists and pages: every item once, newest first; waiting jobs show why and until when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from service.events.event_filter import EventFilter
from service.events.event_finder import EventFinder
from service.jobs.job_filter import JobFilter
from service.jobs.model import KINDS, Status
from service.jobs.queries import Page
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, SECOND, TIMES, Event, LedgerHarness, draft

Pager = Callable[[int | None], Awaitable[Page]]


def _all_items(ledger: LedgerHarness, page: Pager) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: int | None = None
    for _ in range(1000):
        found = ledger.run(_awaited(page, cursor))
        items += found.items
        if found.next is None:
            return items
        assert cursor is None or found.next < cursor
        cursor = found.next
    raise AssertionError("the pages never end")


async def _awaited(page: Pager, cursor: int | None) -> Page:
    return await page(cursor)


def _jobs(ledger: LedgerHarness, job_filter: JobFilter, limit: int = 50) -> list[str]:
    found = _all_items(
        ledger, lambda cursor: ledger.finder.page(job_filter, cursor=cursor, limit=limit)
    )
    return [job["id"] for job in found]


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_list_every_job_once_newest_first(ledger: LedgerHarness, limit: int) -> None:
    jobs = ledger.add_jobs(60 if limit == 1 else 1_050)

    assert _jobs(ledger, JobFilter(), limit) == jobs[::-1]


def test_a_page_ending_exactly_at_the_last_job_loses_and_repeats_nothing(
    ledger: LedgerHarness,
) -> None:
    jobs = ledger.add_jobs(20)

    assert _jobs(ledger, JobFilter(), 10) == jobs[::-1]
    assert _jobs(ledger, JobFilter(), 20) == jobs[::-1]


def test_new_jobs_do_not_disturb_paging(ledger: LedgerHarness) -> None:
    jobs = ledger.add_jobs(30)
    first = ledger.run(ledger.finder.page(JobFilter(), cursor=None, limit=10))
    ledger.add_jobs(15)

    rest = ledger.run(ledger.finder.page(JobFilter(), cursor=first.next, limit=100))

    assert [job["id"] for job in [*first.items, *rest.items]] == jobs[::-1]


def test_filters_can_be_combined(ledger: LedgerHarness) -> None:
    accounts, kinds, statuses = ("shop", "studio"), KINDS, (Status.SCHEDULED, Status.CANCELED)
    jobs = {
        (account, kind, status): {
            job_in(ledger, status, account=account, kind=kind) for _ in range(3)
        }
        for account, kind, status in product(accounts, kinds, statuses)
    }

    for wanted_labels in product((*accounts, None), (*kinds, None), (*statuses, None)):
        account, kind, status = wanted_labels
        expected = set[str]().union(
            *(
                ids
                for labels, ids in jobs.items()
                if all(
                    wanted in (label, None)
                    for label, wanted in zip(labels, wanted_labels, strict=True)
                )
            )
        )
        found = _jobs(ledger, JobFilter((status,) if status else (), account, kind), limit=2)
        assert (len(found), set(found)) == (len(expected), expected)


def test_a_page_looks_at_a_limited_number_of_jobs(
    ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given jobs that meet one condition or the other, and one that meets both
    monkeypatch.setattr("service.jobs.job_finder.EFFORT", 10)
    wanted = ledger.add_job(kind="comment", account="studio", to=None, post="Cx")
    for _ in range(50):
        ledger.add_job(account="studio")
        ledger.add_job(kind="comment", to=None, post="Cx")
    job_filter = JobFilter(account="studio", kind="comment")

    first = ledger.run(ledger.finder.page(job_filter, cursor=None, limit=50))

    # Then the first page has none of them, but says where to go on
    assert (list(first.items), first.next is None) == ([], False)
    assert _jobs(ledger, job_filter) == [wanted]


def test_what_one_index_does_not_have_is_stepped_over(
    ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.job_finder.EFFORT", 20)
    rare = ledger.add_job(kind="comment", account="studio", delay_ms=HOUR)
    ledger.add_jobs(300, delay_ms=HOUR)
    job_filter = JobFilter((Status.SCHEDULED,), "studio", "comment")

    page = ledger.run(ledger.finder.page(job_filter, cursor=None, limit=50))

    assert ([job["id"] for job in page.items], page.next) == ([rare], None)


def test_unknown_jobs_are_none_and_omitted_from_lists(ledger: LedgerHarness) -> None:
    jobs = ledger.add_job()

    assert ledger.run(ledger.queries.job("job_unknown")) is None
    assert [record.id for record in ledger.run(ledger.queries.records(["job_unknown", jobs]))] == [
        jobs
    ]
    assert _jobs(ledger, JobFilter(account="nobody")) == []


def test_a_waiting_job_has_a_position_and_an_estimate(ledger: LedgerHarness) -> None:
    ledger.claim(ledger.add_job())
    waiting = [ledger.add_job(priority=number) for number in (5, 9, 1)]

    shown = [ledger.api_job(job_id) for job_id in waiting]
    assert [job["wait"]["position"] for job in shown] == [1, 0, 2]
    assert {job["wait"]["reason"] for job in shown} == {"turn"}
    until = [datetime.fromisoformat(job["wait"]["until"]) for job in shown]
    assert datetime.now(UTC) < until[1] < until[0] < until[2]


def test_a_job_waiting_for_a_time_shows_that_time(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.WAITING)

    job = ledger.api_job(job_id)
    until = datetime.fromisoformat(job["wait"]["until"])
    assert 0 < (until - datetime.now(UTC)).total_seconds() <= HOUR / 1000
    for status in (Status.QUEUED, Status.SUCCEEDED):
        other = ledger.api_job(job_in(ledger, status, account=status))
        assert other["wait"] is None


def test_a_held_job_shows_what_it_waits_for(ledger: LedgerHarness) -> None:
    job = ledger.api_job(job_in(ledger, Status.HELD))

    assert job["wait"] == {"reason": "paused", "until": None, "position": None}


def test_the_timeline_keeps_the_last_two_hundred_changes(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    for _ in range(110):
        ledger.release(ledger.claim(job_id), Status.QUEUED, charge="free")

    path = ledger.statuses(job_id)
    assert len(path) == 200
    assert path[-2:] == ["running", "queued"]


def test_the_timeline_shows_when_who_and_why(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.finish(ledger.claim_and_send(job_id, "host:1:abc:7"))

    timeline = ledger.run(ledger.queries.timeline(job_id))
    assert [(step["status"], step["by"], step["why"]) for step in timeline] == [
        ("queued", "intake", None),
        ("running", "host:1:abc:7", None),
        ("sending", "host:1:abc:7", "intent"),
        ("succeeded", "host:1:abc:7", None),
    ]
    moments = [step["at"] for step in timeline]
    assert moments == sorted(moments)
    assert all(moment.endswith("Z") for moment in moments)


def test_an_event_id_is_found_in_every_source(ledger: LedgerHarness) -> None:
    for source in ("stripe", "paddle"):
        ledger.accept(Event("evt_1"), draft(), source=source)
    ledger.accept(Event("evt_2"), source="github")

    found = ledger.run(ledger.queries.events_with_id("evt_1"))
    assert [event.source for event in found] == ["paddle", "stripe"]
    assert ledger.run(ledger.queries.events_with_id("evt_9")) == []


def test_pages_list_every_event_once(ledger: LedgerHarness) -> None:
    ids = [f"evt_{number}" for number in range(45)]
    for event_id in ids:
        ledger.accept(Event(event_id))

    finder = EventFinder(ledger.client, TIMES, ledger.queries)
    found = _all_items(ledger, lambda cursor: finder.page(EventFilter(), cursor=cursor, limit=10))
    assert [event["id"] for event in found] == ids[::-1]
    assert found[0]["status"] == "accepted"


def test_an_events_body_expires_before_its_record(ledger: LedgerHarness) -> None:
    ledger.accept(Event("evt_1"), body=b'{"private": true}')
    ledger.pass_time(TIMES.keep_bodies + SECOND)

    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) is None
    assert len(ledger.run(ledger.queries.events_with_id("evt_1"))) == 1
