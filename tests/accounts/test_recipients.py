"""Recipients: who is not written to, and who has just had the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.accounts.suppressions import Suppressions
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledgers import DAY, HOUR, Books
from tests.support.pacing import (
    Opener,
    gap_ends,
    ledgers,
    pace,
    spent,
    terms,
    write,
)

WEEK = 7 * DAY
BOUNDED = terms(dm=pace((0, 0), per_day=50), dm_new_thread=pace(per_day=10))


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


def suppress(books: Books, who: str, account: str | None = None) -> None:
    people = Suppressions(books.client)
    books.run(people.put(who, account=account, reason="asked", by="crm"))


def error_of(books: Books, job_id: str) -> str:
    assert books.status(job_id) is Status.FAILED
    return str(books.shown(job_id)["error"]["code"])


# -- who is not written to


@pytest.mark.parametrize("account", [None, "shop"])
@pytest.mark.parametrize(
    ("who", "to"), [("some.handle", "some.handle"), ("pk:314159", "314159"), ("123", "@123")]
)
def test_a_job_to_somebody_on_the_list_is_born_failed(
    opened: Opener, who: str, to: str, account: str | None
) -> None:
    books = opened(shop=BOUNDED)
    suppress(books, who, account)

    job_id = books.job(to=to)

    assert error_of(books, job_id) == "recipient_suppressed"
    [owed] = books.owed(job_id)
    assert owed["payload"]["data"]["error"]["code"] == "recipient_suppressed"
    assert (books.wakeups(), books.turn()) == ([], None)
    assert audit(books) == []


def test_a_scheduled_job_to_somebody_on_the_list_is_born_failed(opened: Opener) -> None:
    books = opened(shop=BOUNDED)
    suppress(books, "some.handle")

    assert error_of(books, books.job(delay_ms=HOUR)) == "recipient_suppressed"
    assert audit(books) == []


def test_another_account_s_entry_is_not_ours(opened: Opener) -> None:
    books = opened(shop=BOUNDED)
    suppress(books, "some.handle", "studio")
    suppress(books, "pk:314159", "studio")

    write(books, books.job())

    assert error_of(books, books.job(account="studio")) == "recipient_suppressed"


@pytest.mark.parametrize("account", [None, "shop"])
@pytest.mark.parametrize("who", ["some.handle", "pk:314159", "their.name"])
def test_somebody_put_on_the_list_before_the_write_is_not_written_to(
    opened: Opener, who: str, account: str | None
) -> None:
    # Given a job on which a worker works
    books = opened(shop=BOUNDED)
    claim, waiter = books.claim(books.job()), books.job(to="314160")
    # When its recipient asks to be left alone
    suppress(books, who, account)
    # Then it ends before its write, and counts nowhere
    step = books.claims.record_intent(
        claim, pk="314159", context="token", thread="new", username="their.name"
    )
    assert books.run(step) == "refused"
    assert error_of(books, claim.id) == "recipient_suppressed"
    assert (spent(books), spent(books, "dm_new_thread"), gap_ends(books)) == ([], [], 0)
    assert len(books.owed(claim.id)) == 1
    assert books.turn() == waiter
    assert audit(books) == []


def test_a_retry_does_not_get_past_the_list(opened: Opener) -> None:
    books = opened(shop=BOUNDED)
    suppress(books, "some.handle")
    job_id = books.job()

    assert books.run(books.ledger.retry(job_id, "api:test")) == "ok"

    assert books.intend(books.claim(job_id)) == "refused"
    assert error_of(books, job_id) == "recipient_suppressed"
    assert len(books.owed(job_id)) == 2, "one a run"


def test_comments_are_not_for_recipients(opened: Opener) -> None:
    books = opened(shop=BOUNDED)
    suppress(books, "pk:314159")

    write(books, books.job(kind="comment", to=None, post="Cx"))


# -- who has just had the same


@pytest.mark.parametrize(
    "same", [{"text": "Other words"}, {"account": "studio"}, {"to": "314159"}, {"priority": 9}]
)
def test_a_recipient_has_the_same_rule_once_in_a_while(
    opened: Opener, same: dict[str, Any]
) -> None:
    books = opened(WEEK)
    first = write(books, books.job())

    again = books.claim(books.job(**same))

    assert books.intend(again) == "refused"
    assert error_of(books, again.id) == "recipient_repeated"
    assert first.id in books.shown(again.id)["error"]["message"]
    assert len(spent(books)) == 1 and spent(books, account="studio") == []  # noqa: PT018
    assert audit(books) == []


def test_a_recipient_has_the_same_text_without_a_rule_once_in_a_while(opened: Opener) -> None:
    books = opened(WEEK)
    write(books, books.job(rule=None))

    assert books.intend(books.claim(books.job(rule=None))) == "refused"
    write(books, books.job(rule=None, text="Other words"))
    write(books, books.job(rule="thank-you"))


def test_another_rule_or_recipient_is_no_repetition(opened: Opener) -> None:
    books = opened(WEEK)
    write(books, books.job())

    write(books, books.job(rule="reminder"))
    write(books, books.job(), pk="271828")


def test_after_its_time_the_same_goes_again(opened: Opener) -> None:
    books = opened(WEEK)
    write(books, books.job())

    books.pass_time(WEEK - HOUR)
    assert books.intend(books.claim(books.job())) == "refused"
    books.pass_time(HOUR)
    write(books, books.job())


def test_a_write_that_was_refused_or_never_left_is_not_repeated(opened: Opener) -> None:
    books = opened(WEEK)
    write(books, books.job(), status=Status.FAILED)
    unsent = books.sending(books.job())
    step = books.claims.release(unsent, Status.WAITING, "timed_out", after_ms=HOUR, sent=False)
    assert books.run(step) == "ok"

    write(books, books.job())


def test_a_write_in_doubt_counts_until_it_is_known_not_to_have_happened(opened: Opener) -> None:
    # Given a write in doubt
    books = opened(WEEK)
    first = books.sending(books.job())
    assert books.release(first, Status.SENDING) == "ok"
    # Then the same is a repetition
    assert books.intend(books.claim(books.job())) == "refused"
    # And when look-ups do not find it, it is not
    books.tick()
    look = books.claim(first.id)
    assert books.release(look, Status.WAITING, after_ms=HOUR) == "ok"
    write(books, books.job())


def test_an_uncertain_write_counts(opened: Opener) -> None:
    books = opened(WEEK)
    write(books, books.job(), status=Status.UNCERTAIN)

    assert books.intend(books.claim(books.job())) == "refused"


def test_a_job_does_not_repeat_itself(opened: Opener) -> None:
    # Given a job that ends uncertain, is retried, looked for and not found
    books = opened(WEEK)
    job_id = write(books, books.job(), status=Status.UNCERTAIN).id
    assert books.run(books.ledger.retry(job_id, "api:test")) == "ok"
    assert books.release(books.claim(job_id), Status.QUEUED) == "ok"
    # Then it writes again
    write(books, job_id)


def test_repetitions_are_not_looked_for_when_that_is_off(opened: Opener) -> None:
    books = opened(0)
    write(books, books.job())
    write(books, books.job())


def test_comments_may_be_repeated_and_are_no_dms(opened: Opener) -> None:
    books = opened(WEEK)
    for _ in range(2):
        write(books, books.job(kind="comment", to=None, post="Cx"))

    write(books, books.job())
