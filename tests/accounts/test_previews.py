"""Previews: what would become of a job, told without making it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from service.accounts.suppressions import Suppressions
from service.jobs.claims import AccountEffect
from service.jobs.lua.limits import QuietHours
from service.jobs.model import Status
from service.jobs.replies import Preview
from tests.support.ledgers import DAY, HOUR, SECOND, Books, draft
from tests.support.pacing import (
    SLACK,
    Opener,
    contents,
    gap_ends,
    ledgers,
    now_ms,
    pace,
    spent,
    terms,
    write,
)

WEEK = 7 * DAY


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


def foretold(books: Books, *, pk: str = "314159", **changes: Any) -> Preview:
    """Preview a job, which changes nothing in the store."""
    before = contents(books.store)
    found = books.run(books.ledger.preview(draft(**changes), caller="crm", pk=pk))
    assert contents(books.store) == before
    return found


def decided(preview: Preview) -> tuple[str, str | None, bool]:
    return preview.decision, preview.reason, preview.person


# -- send


def test_a_job_that_nothing_stands_in_the_way_of_would_be_sent_now(opened: Opener) -> None:
    books = opened(shop=terms())

    found = foretold(books)

    assert decided(found) == ("send", None, False)
    assert abs(found.earliest_ms - now_ms(books.store)) < SLACK
    assert books.store.dbsize() == 0
    write(books, books.job())


# -- wait


def test_a_job_would_wait_for_a_gap(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace((60, 90))))
    write(books, books.job())

    assert foretold(books) == Preview("wait", "dm_gap", gap_ends(books), person=False)
    assert decided(foretold(books, kind="comment", to=None, post="Cx")) == ("send", None, False)
    assert decided(foretold(books, account="studio")) == ("send", None, False)


def test_a_job_would_wait_for_a_budget(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(per_hour=1)))
    write(books, books.job())

    opens = spent(books)[0] + HOUR
    assert foretold(books) == Preview("wait", "dm_per_hour", opens, person=False)


def test_a_job_would_wait_for_the_budget_of_new_threads_unless_its_thread_exists(
    opened: Opener,
) -> None:
    books = opened(shop=terms(dm_new_thread=pace(per_day=1)))
    write(books, books.job(), thread="new", pk="314159")

    assert decided(foretold(books, pk="314159")) == ("send", None, False)
    opens = spent(books, "dm_new_thread")[0] + DAY
    waits = Preview("wait", "dm_new_thread_per_day", opens, person=False)
    assert foretold(books, pk="271828") == waits


def test_a_job_would_wait_for_the_end_of_quiet_hours(opened: Opener) -> None:
    now = datetime.now(UTC)
    minute = now.hour * 60 + now.minute
    quiet = QuietHours((minute - 60) % 1440, (minute + 60) % 1440, "UTC")
    books = opened(shop=terms(quiet=quiet))

    found = foretold(books)

    assert decided(found) == ("wait", "quiet_hours", False)
    assert found.earliest_ms // (60 * SECOND) % 1440 == quiet.end


def test_a_job_would_wait_for_the_end_of_a_cooldown(opened: Opener) -> None:
    books = opened(shop=terms())
    effect = AccountEffect(cooldown="please_wait", kind="*", cooldown_ms=HOUR)
    assert books.release(books.claim(books.job()), Status.WAITING, effect=effect) == "ok"

    found = foretold(books, kind="comment", to=None, post="Cx")

    assert decided(found) == ("wait", "please_wait", False)
    assert abs(found.earliest_ms - now_ms(books.store) - HOUR) < SLACK


def test_a_job_would_wait_for_its_turn(opened: Opener) -> None:
    books = opened(shop=terms())
    claim = books.claim(books.job())
    assert decided(foretold(books)) == ("wait", "turn", False)

    assert books.finish(claim)
    assert decided(foretold(books)) == ("send", None, False)


def test_a_scheduled_job_would_wait_for_its_time_or_for_what_is_longer(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(per_day=1)))
    found = foretold(books, delay_ms=HOUR)
    assert decided(found) == ("wait", "scheduled", False)
    assert abs(found.earliest_ms - now_ms(books.store) - HOUR) < SLACK

    write(books, books.job())

    assert foretold(books, delay_ms=HOUR).reason == "dm_per_day"
    assert foretold(books, delay_ms=2 * DAY).reason == "scheduled"


@pytest.mark.parametrize("kind", [None, "dm", "everything"])
def test_a_job_would_wait_for_a_person(opened: Opener, kind: str | None) -> None:
    books = opened(shop=terms())
    doors = books.doors
    books.run(doors.pause_all() if kind == "everything" else doors.pause("shop", kind=kind))

    assert foretold(books) == Preview("wait", "paused", 0, person=True)
    comment = foretold(books, kind="comment", to=None, post="Cx")
    assert comment.person == (kind != "dm")


# -- refuse


@pytest.mark.parametrize(
    ("who", "job", "pk"),
    [
        ("some.handle", {}, ""),
        ("123", {"to": "@123"}, ""),
        ("pk:314159", {}, "314159"),
        ("pk:314159", {"to": "314159"}, ""),
    ],
)
def test_a_job_to_somebody_on_the_list_would_be_refused(
    opened: Opener, who: str, job: dict[str, str], pk: str
) -> None:
    books = opened(shop=terms())
    people = Suppressions(books.client)
    books.run(people.put(who, account=None, reason=None, by="crm"))

    assert foretold(books, pk=pk, **job) == Preview(
        "refuse", "recipient_suppressed", 0, person=True
    )
    assert foretold(books, pk="271828", to="another.handle").decision == "send"


def test_a_repetition_would_be_refused_until_its_time_is_over(opened: Opener) -> None:
    books = opened(WEEK, shop=terms())
    write(books, books.job())

    found = foretold(books)

    assert decided(found) == ("refuse", "recipient_repeated", False)
    assert abs(found.earliest_ms - now_ms(books.store) - WEEK) < SLACK
    assert decided(foretold(books, rule="reminder")) == ("send", None, False)
    assert decided(foretold(books, pk="271828")) == ("send", None, False)
    assert decided(foretold(books, delay_ms=WEEK)) == ("wait", "scheduled", False)


def test_a_job_that_would_not_be_done_in_time_would_be_refused(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(per_hour=1)))
    write(books, books.job())

    found = foretold(books, expires_ms=HOUR // 2)

    assert decided(found) == ("refuse", "expired", False)
    assert decided(foretold(books, expires_ms=2 * HOUR)) == ("wait", "dm_per_hour", False)


# -- what is foretold comes true


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        (lambda _books: None, Status.QUEUED),
        (lambda books: write(books, books.job()), Status.WAITING),
        (lambda books: books.claim(books.job()), Status.WAITING),
        (lambda books: books.run(books.doors.pause("shop")), Status.HELD),
    ],
    ids=["nothing", "a gap", "a turn", "a pause"],
)
def test_what_is_foretold_comes_true(
    opened: Opener, stage: Callable[[Books], Any], status: Status
) -> None:
    books = opened(shop=terms(dm=pace((60, 90))))
    stage(books)
    found = foretold(books)

    shown = books.shown(books.job())

    assert (shown["status"], found.decision) == (
        str(status),
        "send" if status is Status.QUEUED else "wait",
    )
    assert found.reason == (shown["wait"] or {"reason": None})["reason"]
