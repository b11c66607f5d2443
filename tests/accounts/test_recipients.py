"""Recipients: suppression, and protection against repeated messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.accounts.suppressions import Suppressions
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, PERSON_KEYS, LedgerHarness
from tests.support.limited_ledger import (
    LedgerFactory,
    gap_ends_ms,
    ledger_factory,
    limits,
    pace,
    send,
    spent_ms,
)

WEEK = 7 * DAY
LIMITED = limits(dm=pace((0, 0), per_day=50), dm_new_thread=pace(per_day=10))


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def suppress(ledger: LedgerHarness, key: str, account: str | None = None) -> None:
    suppressions = Suppressions(ledger.client, PERSON_KEYS)
    ledger.run(suppressions.put(key, account=account, reason="asked", by="crm"))


def error_of(ledger: LedgerHarness, job_id: str) -> str:
    assert ledger.status(job_id) is Status.FAILED
    return str(ledger.api_job(job_id)["error"]["code"])


# -- suppression


@pytest.mark.parametrize("account", [None, "shop"])
@pytest.mark.parametrize(
    ("key", "to"), [("some.handle", "some.handle"), ("pk:314159", "314159"), ("123", "@123")]
)
def test_a_job_to_a_suppressed_recipient_is_rejected_at_creation(
    ledger_with: LedgerFactory, key: str, to: str, account: str | None
) -> None:
    ledger = ledger_with(shop=LIMITED)
    suppress(ledger, key, account)

    job_id = ledger.add_job(to=to)

    assert error_of(ledger, job_id) == "recipient_suppressed"
    [delivery] = ledger.deliveries_of(job_id)
    assert delivery["payload"]["data"]["error"]["code"] == "recipient_suppressed"
    assert (ledger.take_messages(), ledger.turn()) == ([], None)
    assert audit(ledger) == []


def test_a_scheduled_job_to_a_suppressed_recipient_is_rejected_at_creation(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(shop=LIMITED)
    suppress(ledger, "some.handle")

    assert error_of(ledger, ledger.add_job(delay_ms=HOUR)) == "recipient_suppressed"
    assert audit(ledger) == []


def test_another_accounts_entry_does_not_apply(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=LIMITED)
    suppress(ledger, "some.handle", "studio")
    suppress(ledger, "pk:314159", "studio")

    send(ledger, ledger.add_job())

    assert error_of(ledger, ledger.add_job(account="studio")) == "recipient_suppressed"


@pytest.mark.parametrize("account", [None, "shop"])
@pytest.mark.parametrize("key", ["some.handle", "pk:314159", "their.name"])
def test_a_recipient_suppressed_before_the_write_is_not_written_to(
    ledger_with: LedgerFactory, key: str, account: str | None
) -> None:
    # Given a claimed job
    ledger = ledger_with(shop=LIMITED)
    claim, waiter = ledger.claim(ledger.add_job()), ledger.add_job(to="314160")
    # When its recipient is suppressed
    suppress(ledger, key, account)
    # Then it ends before its write, and no budget is charged
    step = ledger.claims.record_intent(
        claim, pk="314159", context="token", thread="new", username="their.name"
    )
    assert ledger.run(step) == "refused"
    assert error_of(ledger, claim.id) == "recipient_suppressed"
    assert (spent_ms(ledger), spent_ms(ledger, "dm_new_thread"), gap_ends_ms(ledger)) == ([], [], 0)
    assert len(ledger.deliveries_of(claim.id)) == 1
    assert ledger.turn() == waiter
    assert audit(ledger) == []


def test_a_retry_does_not_bypass_the_suppression_list(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=LIMITED)
    suppress(ledger, "some.handle")
    job_id = ledger.add_job()

    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"

    assert ledger.record_intent(ledger.claim(job_id)) == "refused"
    assert error_of(ledger, job_id) == "recipient_suppressed"
    assert len(ledger.deliveries_of(job_id)) == 2, "one per run"


def test_comments_ignore_the_suppression_list(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=LIMITED)
    suppress(ledger, "pk:314159")

    send(ledger, ledger.add_job(kind="comment", to=None, post="Cx"))


# -- repetition


@pytest.mark.parametrize(
    "same", [{"text": "Other words"}, {"account": "studio"}, {"to": "314159"}, {"priority": 9}]
)
def test_a_recipient_gets_the_same_rule_once_per_period(
    ledger_with: LedgerFactory, same: dict[str, Any]
) -> None:
    ledger = ledger_with(WEEK)
    first = send(ledger, ledger.add_job())

    again = ledger.claim(ledger.add_job(**same))

    assert ledger.record_intent(again) == "refused"
    assert error_of(ledger, again.id) == "recipient_repeated"
    assert first.id in ledger.api_job(again.id)["error"]["message"]
    assert len(spent_ms(ledger)) == 1 and spent_ms(ledger, account="studio") == []  # noqa: PT018
    assert audit(ledger) == []


def test_a_recipient_gets_the_same_text_without_a_rule_once_per_period(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(WEEK)
    send(ledger, ledger.add_job(rule=None))

    assert ledger.record_intent(ledger.claim(ledger.add_job(rule=None))) == "refused"
    send(ledger, ledger.add_job(rule=None, text="Other words"))
    send(ledger, ledger.add_job(rule="thank-you"))


def test_another_rule_or_recipient_is_not_a_repetition(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(WEEK)
    send(ledger, ledger.add_job())

    send(ledger, ledger.add_job(rule="reminder"))
    send(ledger, ledger.add_job(), pk="271828")


def test_the_same_message_may_be_sent_again_after_the_period(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(WEEK)
    send(ledger, ledger.add_job())

    ledger.pass_time(WEEK - HOUR)
    assert ledger.record_intent(ledger.claim(ledger.add_job())) == "refused"
    ledger.pass_time(HOUR)
    send(ledger, ledger.add_job())


def test_a_write_that_failed_or_was_never_sent_does_not_count_as_a_repetition(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(WEEK)
    send(ledger, ledger.add_job(), status=Status.FAILED)
    unsent = ledger.claim_and_send(ledger.add_job())
    step = ledger.claims.release(unsent, Status.WAITING, "timed_out", after_ms=HOUR, sent=False)
    assert ledger.run(step) == "ok"

    send(ledger, ledger.add_job())


def test_an_unconfirmed_write_counts_until_it_is_known_not_to_have_happened(
    ledger_with: LedgerFactory,
) -> None:
    # Given an unconfirmed write
    ledger = ledger_with(WEEK)
    first = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(first, Status.SENDING) == "ok"
    # Then the same is a repetition
    assert ledger.record_intent(ledger.claim(ledger.add_job())) == "refused"
    # And when verification does not find the write, it is not
    ledger.heartbeat()
    verification = ledger.claim(first.id)
    assert ledger.release(verification, Status.WAITING, after_ms=HOUR) == "ok"
    send(ledger, ledger.add_job())


def test_a_write_that_is_not_found_does_not_forget_what_another_job_has_sent(
    ledger_with: LedgerFactory,
) -> None:
    # Given an unconfirmed write that is older than the period, and the same by another job since
    ledger = ledger_with(WEEK)
    first = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(first, Status.SENDING) == "ok"
    ledger.pass_time(WEEK)
    send(ledger, ledger.add_job())
    # When verification does not find the first
    ledger.heartbeat()
    assert ledger.release(ledger.claim(first.id), Status.WAITING, after_ms=HOUR) == "ok"
    # Then the other's counts
    assert ledger.record_intent(ledger.claim(ledger.add_job())) == "refused"


def test_an_uncertain_write_counts(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(WEEK)
    send(ledger, ledger.add_job(), status=Status.UNCERTAIN)

    assert ledger.record_intent(ledger.claim(ledger.add_job())) == "refused"


def test_a_job_does_not_repeat_itself(ledger_with: LedgerFactory) -> None:
    # Given an uncertain job that is retried, verified and not found
    ledger = ledger_with(WEEK)
    job_id = send(ledger, ledger.add_job(), status=Status.UNCERTAIN).id
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert ledger.release(ledger.claim(job_id), Status.QUEUED) == "ok"
    # Then it is sent again
    send(ledger, job_id)


def test_repetitions_are_allowed_when_the_check_is_off(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(0)
    send(ledger, ledger.add_job())
    send(ledger, ledger.add_job())


def test_comments_may_be_repeated_and_do_not_count_as_dms(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(WEEK)
    for _ in range(2):
        send(ledger, ledger.add_job(kind="comment", to=None, post="Cx"))

    send(ledger, ledger.add_job())
