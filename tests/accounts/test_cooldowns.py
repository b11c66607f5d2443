"""Cooldowns: how long an account rests after what Instagram said, and what rests with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from service.jobs.claims import AccountEffect
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledgers import DAY, HOUR, Books
from tests.support.pacing import (
    SLACK,
    alarm,
    ledgers,
    ms_of,
    now_ms,
    terms,
    wait_of,
    woken,
    write,
)

PLEASE_WAIT: Final = AccountEffect(
    cooldown="please_wait", kind="*", cooldown_ms=HOUR, escalation="double"
)
FEEDBACK: Final = AccountEffect(
    cooldown="feedback_required", kind="dm", cooldown_ms=24 * HOUR, escalation="widen"
)
RATE_LIMITED: Final = AccountEffect(cooldown="rate_limited", kind="*", cooldown_ms=HOUR // 4)
COMMENT: Final[dict[str, Any]] = {"kind": "comment", "to": None, "post": "Cx"}


@pytest.fixture
def books(store: redis.Redis, store_url: str) -> Iterator[Books]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened(shop=terms(), studio=terms())


def rest(books: Books, effect: AccountEffect) -> float:
    """Let a job bring a cooldown, and end it; how many hours the cooldown lasts."""
    claim = books.claim(books.job())
    assert books.release(claim, Status.WAITING, charge="free", effect=effect) == "ok"
    assert books.run(books.ledger.cancel(claim.id, "api:test")) == "ok"
    kinds = {shown["kind"]: ms_of(shown["until"]) for shown in cooldowns(books)}
    return round((max(kinds.values()) - now_ms(books.store)) / HOUR, 2)


def cooldowns(books: Books, account: str = "shop") -> list[dict[str, Any]]:
    shown = books.run(books.doors.show(account))["cooldowns"]
    assert isinstance(shown, list)
    return shown


# -- how long


def test_being_asked_to_wait_again_and_again_doubles_the_rest_up_to_a_day(books: Books) -> None:
    rests = []
    for _ in range(7):
        rests.append(rest(books, PLEASE_WAIT))
        books.pass_time(round(rests[-1] * HOUR) + SLACK)

    assert rests == [1, 2, 4, 8, 16, 24, 24]
    assert audit(books) == []


def test_after_a_day_of_peace_the_rest_is_as_short_as_at_first(books: Books) -> None:
    assert rest(books, PLEASE_WAIT) == 1
    books.pass_time(HOUR + DAY - HOUR // 2)
    assert rest(books, PLEASE_WAIT) == 2, "the peace begins where the rest ends"

    books.pass_time(2 * HOUR + DAY + SLACK)

    assert rest(books, PLEASE_WAIT) == 1


def test_other_errors_do_not_lengthen_a_rest(books: Books) -> None:
    for _ in range(3):
        assert rest(books, RATE_LIMITED) == 0.25
        books.pass_time(HOUR // 4 + SLACK)

    assert rest(books, PLEASE_WAIT) == 1


def test_a_shorter_rest_does_not_end_a_longer_one(books: Books) -> None:
    claim = books.claim(books.job())
    until = now_ms(books.store) + 3 * HOUR
    longer: dict[Any, Any] = {"cool:*": until, "cool_why:*": "sentry_block"}
    books.store.hset("hg:acct:shop", mapping=longer)

    assert books.release(claim, Status.WAITING, effect=RATE_LIMITED) == "ok"

    [kept] = cooldowns(books)
    assert (kept["reason"], ms_of(kept["until"])) == ("sentry_block", until)
    assert alarm(books) == until


# -- what rests


def test_being_asked_to_wait_stops_the_account_and_no_other(books: Books) -> None:
    # Given jobs of every kind
    claim, comment = books.claim(books.job()), books.job(**COMMENT)
    # When one is asked to wait
    assert books.release(claim, Status.WAITING, charge="free", effect=PLEASE_WAIT) == "ok"
    # Then all of them do, and say why and until when
    [cooldown] = cooldowns(books)
    until = ms_of(cooldown["until"])
    assert (cooldown["kind"], cooldown["reason"]) == ("*", "please_wait")
    for job_id in (claim.id, comment):
        assert books.try_claim(job_id) is None
        assert wait_of(books, job_id)[:2] == ("please_wait", until)
    assert (alarm(books), woken(books)) == (until, [])
    # And another account's go
    write(books, books.job(account="studio"))
    # And afterwards they go in their order
    books.pass_time(HOUR - SLACK)
    assert woken(books) == []
    books.pass_time(SLACK)
    assert woken(books) == [claim.id]
    assert audit(books) == []


def test_a_rest_of_the_account_keeps_look_ups_too(books: Books) -> None:
    doubtful = books.sending(books.job())
    assert books.release(doubtful, Status.SENDING, effect=PLEASE_WAIT) == "ok"

    books.tick()
    assert books.try_claim(doubtful.id) is None
    assert woken(books) == []

    books.pass_time(HOUR)
    books.tick()
    assert books.claim(doubtful.id).verify_first
    assert audit(books) == []


def test_feedback_stops_its_kind_for_a_day(books: Books) -> None:
    doubtful = books.sending(books.job())
    assert books.release(doubtful, Status.SENDING) == "ok"
    assert rest(books, FEEDBACK) == 24

    assert [cooldown["kind"] for cooldown in cooldowns(books)] == ["dm"]
    waiter = books.job()
    assert wait_of(books, waiter)[0] == "feedback_required"
    write(books, books.job(**COMMENT))
    write(books, books.job(account="studio"))
    books.tick()
    look = books.claim(doubtful.id)
    assert look.verify_first, "look-ups are no DMs"
    assert books.finish(look)
    assert audit(books) == []


def test_a_second_feedback_within_a_week_stops_the_account_for_three_days(books: Books) -> None:
    rest(books, FEEDBACK)
    books.pass_time(24 * HOUR + 7 * DAY - HOUR)

    assert rest(books, FEEDBACK) == 72

    assert [cooldown["kind"] for cooldown in cooldowns(books)] == ["*"]
    assert wait_of(books, books.job(**COMMENT))[0] == "feedback_required"
    write(books, books.job(account="studio"))
    assert audit(books) == []


def test_after_a_week_of_peace_feedback_stops_its_kind_alone(books: Books) -> None:
    rest(books, FEEDBACK)
    books.pass_time(24 * HOUR + 7 * DAY + SLACK)

    assert rest(books, FEEDBACK) == 24

    write(books, books.job(**COMMENT))


def test_a_rest_of_one_kind_waits_for_the_whole_account_s_where_that_is_longer(
    books: Books,
) -> None:
    dm, comment = books.job(), books.job(**COMMENT)
    claim = books.claim(dm)
    first = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR // 2)
    assert books.release(claim, Status.WAITING, effect=first) == "ok"
    assert books.release(books.claim(comment), Status.WAITING, effect=PLEASE_WAIT) == "ok"

    assert wait_of(books, dm)[0] == "please_wait"
    books.pass_time(HOUR // 2)
    assert woken(books) == []
