"""What follows an error, by what is known of the attempt's request; and an unsuccessful search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.instagram.error_policies import ErrorDecision, Outcome
from actors.jobs.next_steps import (
    BACKOFF_SECONDS,
    MAX_WRITES,
    VERIFY_BACKOFF_SECONDS,
    Finish,
    Release,
    after_error,
    after_not_found,
)
from actors.jobs.request_state import RequestState
from service.accounts.holds import what_it_asks
from service.jobs.account_effect import NO_EFFECT, AccountEffect
from service.jobs.lua.hash_encoding import BLANK
from service.jobs.model import Failure, Status
from service.jobs.records import JobRecord

NOT_CHARGED, NOT_SENT = RequestState.NOT_CHARGED, RequestState.NOT_SENT
READ_SENT, SENDING = RequestState.READ_SENT, RequestState.SENDING
UNCONFIRMED = RequestState.UNCONFIRMED
SETTLE_MS = 5_000

RECORD = JobRecord.of(
    "job_1",
    {
        **BLANK,
        **dict.fromkeys(("seq", "prio", "created", "run_at", "run"), "1"),
        "kind": "dm",
        "account": "shop",
        "status": "running",
        "source": "{}",
    },
)


def job(**changes: Any) -> JobRecord:
    return replace(RECORD, **changes)


def error(outcome: Outcome, code: str = "code", **changes: Any) -> ErrorDecision:
    usual = {"ambiguous": False, "cooldown_seconds": None, "scope": "account"}
    return ErrorDecision(outcome, code, "A message.", **usual | changes)


def step(
    decision: ErrorDecision, state: RequestState, record: JobRecord = RECORD, jitter: float = 0
) -> Release | Finish:
    return after_error(
        decision, state, record, backoff=BACKOFF_SECONDS, settle_ms=SETTLE_MS, jitter=jitter
    )


TIMEOUT = error(Outcome.RETRY, "timed_out")
LOST_REPLY = error(Outcome.VERIFY, "timed_out", ambiguous=True)
NO_CONNECTION = error(Outcome.RETRY, "connection_failed")
PROXY = error(Outcome.FIX_PROXY, "proxy_refused")
CHALLENGE = error(Outcome.HOLD, "challenge_required")
SESSION_OVER = error(Outcome.RELOGIN, "login_required")
BLOCKED = error(Outcome.COOL_DOWN, "feedback_required", cooldown_seconds=60, scope="kind")
NO_USER = error(Outcome.FINAL, "user_not_found")

COOLDOWN = AccountEffect(cooldown="feedback_required", kind="dm", cooldown_ms=60_000)


def retry(code: str, *, sent: bool) -> Release:
    return Release(Status.WAITING, code, after_ms=5_000, sent=sent)


def hold(code: str) -> AccountEffect:
    return AccountEffect(hold=code, note="A message.", asks=what_it_asks(code, "shop", {}))


def held(code: str, *, sent: bool) -> Release:
    effect = hold(code)
    return Release(Status.HELD, code, charge="free", effect=effect, sent=sent)


def cooling(*, sent: bool) -> Release:
    return Release(
        Status.WAITING,
        "feedback_required",
        after_ms=60_000,
        charge="free",
        effect=COOLDOWN,
        sent=sent,
    )


def unverified(code: str, effect: AccountEffect = NO_EFFECT) -> Release:
    charge: Any = "failed" if effect is NO_EFFECT else "free"
    return Release(Status.SENDING, code, after_ms=5_000, charge=charge, effect=effect)


FAILED = Finish(Status.FAILED, failure=Failure("user_not_found", "A message."))
SETTLE = Release(Status.SENDING, "timed_out", after_ms=SETTLE_MS, charge="free")

TABLE = [
    # Nothing is charged, or what is charged was sent: the charge stays.
    (TIMEOUT, NOT_CHARGED, retry("timed_out", sent=True)),
    (TIMEOUT, READ_SENT, retry("timed_out", sent=True)),
    (TIMEOUT, SENDING, retry("timed_out", sent=True)),
    (CHALLENGE, SENDING, held("challenge_required", sent=True)),
    (SESSION_OVER, SENDING, held("login_required", sent=True)),
    (BLOCKED, SENDING, cooling(sent=True)),
    (NO_USER, SENDING, FAILED),
    (NO_USER, NOT_CHARGED, FAILED),
    # Charged and not sent, by the attempt's state or by the error itself: the charge is returned.
    (TIMEOUT, NOT_SENT, retry("timed_out", sent=False)),
    (CHALLENGE, NOT_SENT, held("challenge_required", sent=False)),
    (BLOCKED, NOT_SENT, cooling(sent=False)),
    (NO_CONNECTION, SENDING, retry("connection_failed", sent=False)),
    (NO_CONNECTION, READ_SENT, retry("connection_failed", sent=False)),
    (PROXY, SENDING, held("proxy_refused", sent=False)),
    (PROXY, READ_SENT, held("proxy_refused", sent=False)),
    # The write may have arrived: it is verified once it has settled.
    (LOST_REPLY, SENDING, SETTLE),
    # No error tells anything of an earlier attempt's write, not even a final one.
    (TIMEOUT, UNCONFIRMED, unverified("timed_out")),
    (NO_CONNECTION, UNCONFIRMED, unverified("connection_failed")),
    (NO_USER, UNCONFIRMED, unverified("user_not_found")),
    (
        CHALLENGE,
        UNCONFIRMED,
        unverified("challenge_required", hold("challenge_required")),
    ),
    (BLOCKED, UNCONFIRMED, unverified("feedback_required", COOLDOWN)),
]


@pytest.mark.parametrize(("decision", "state", "expected"), TABLE)
def test_an_error_has_one_consequence_in_each_state(
    decision: ErrorDecision, state: RequestState, expected: Release | Finish
) -> None:
    assert step(decision, state) == expected


def test_retries_are_ever_further_apart_and_end() -> None:
    waits = [
        step(TIMEOUT, NOT_CHARGED, job(failed_attempts=failed))
        for failed in range(len(BACKOFF_SECONDS) + 1)
    ]

    assert [getattr(wait, "after_ms", None) for wait in waits] == [
        *(5_000, 30_000, 120_000, 600_000, 1_800_000),
        None,
    ]
    failure = Failure("timed_out", "A message.", retryable=True)
    assert waits[-1] == Finish(Status.FAILED, failure=failure, why="attempts exhausted")


def test_failed_verifications_are_ever_further_apart_and_end_uncertain() -> None:
    steps = [
        step(TIMEOUT, UNCONFIRMED, job(verification_failures=failed))
        for failed in range(len(VERIFY_BACKOFF_SECONDS) + 1)
    ]

    assert [getattr(wait, "after_ms", None) for wait in steps] == [
        *(5_000, 15_000, 60_000, 180_000, 600_000, 1_800_000),
        None,
    ]
    assert is_uncertain(steps[-1])


@pytest.mark.parametrize("state", [NOT_CHARGED, UNCONFIRMED])
def test_jitter_lengthens_a_wait_by_up_to_a_fifth(state: RequestState) -> None:
    waits = [step(TIMEOUT, state, jitter=jitter) for jitter in (0, 0.5, 0.999)]

    assert [getattr(wait, "after_ms", None) for wait in waits] == [5_000, 5_500, 5_999]


def test_a_cooldown_of_the_whole_account_covers_every_kind() -> None:
    wait = step(replace(BLOCKED, scope="account", escalation="double"), NOT_CHARGED)

    assert isinstance(wait, Release)
    assert wait.effect == replace(COOLDOWN, kind="*", escalation="double")


def not_found(count: int, resends: int = 0, jitter: float = 0) -> Release | Finish:
    return after_not_found(job(not_found_count=count, resends=resends), jitter)


SEND_AGAIN = Release(Status.QUEUED, "not found: send again", charge="resend")


def look_again(after_ms: int) -> Release:
    return Release(Status.SENDING, "not found", after_ms=after_ms)


def test_a_write_that_is_not_found_is_searched_twice_and_then_sent_again() -> None:
    assert not_found(0) == look_again(3_000)
    assert not_found(1) == SEND_AGAIN


def test_before_the_second_resend_a_write_is_searched_once_more_a_minute_later() -> None:
    assert not_found(0, resends=1) == look_again(3_000)
    assert not_found(1, resends=1) == look_again(60_000)
    assert not_found(1, resends=1, jitter=0.5) == look_again(66_000)
    assert not_found(2, resends=1) == SEND_AGAIN


def test_a_write_that_is_never_found_ends_uncertain_after_the_third() -> None:
    assert MAX_WRITES == 3
    assert not_found(0, resends=2) == look_again(3_000)
    assert is_uncertain(not_found(1, resends=2))


def test_a_refusal_in_unknown_words_is_tried_three_times() -> None:
    refused = error(Outcome.RETRY, "refused_unclear", tries=3)
    steps = [step(refused, SENDING, job(refusals=n, failed_attempts=n)) for n in range(3)]

    assert [getattr(each, "after_ms", None) for each in steps] == [5_000, 30_000, None]
    assert [getattr(each, "charge", None) for each in steps] == ["refused", "refused", None]
    failure = Failure("refused_unclear", "A message.", retryable=True)
    assert steps[-1] == Finish(Status.FAILED, failure=failure, why="attempts exhausted")


def test_refused_content_is_tried_twice_whatever_failed_before() -> None:
    refused = error(Outcome.FINAL, "content_refused", tries=2)
    first = step(refused, SENDING, job(failed_attempts=3))

    assert first == Release(Status.WAITING, "content_refused", after_ms=600_000, charge="refused")
    assert step(refused, SENDING, job(refusals=1, failed_attempts=4)) == Finish(
        Status.FAILED, failure=Failure("content_refused", "A message.")
    )


@pytest.mark.parametrize(
    ("decision", "state", "after_ms"),
    [
        (TIMEOUT, NOT_CHARGED, 5_000),
        (LOST_REPLY, SENDING, SETTLE_MS),
        (TIMEOUT, UNCONFIRMED, 5_000),
    ],
)
def test_a_wait_that_instagram_asks_for_lengthens_ours(
    decision: ErrorDecision, state: RequestState, after_ms: int
) -> None:
    waits = [
        step(replace(decision, retry_after_seconds=seconds), state) for seconds in (None, 1, 3600)
    ]

    assert [getattr(wait, "after_ms", None) for wait in waits] == [after_ms, after_ms, 3_600_000]


def is_uncertain(found: Release | Finish) -> bool:
    return (
        isinstance(found, Finish)
        and found.status is Status.UNCERTAIN
        and found.failure is not None
        and (found.failure.code, found.failure.retryable) == ("outcome_unknown", True)
    )


def test_a_job_that_lost_history_puts_in_doubt_is_sent_after_one_lookup() -> None:
    sent = Release(Status.QUEUED, "not found: send", charge="looked")
    assert after_not_found(job(doubt="history"), 0) == sent
