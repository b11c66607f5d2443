"""What a hold asks of a person, and what it says of itself in the API and in its callback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import pytest
import redis

from actors.instagram import error_policies, login_policies
from actors.instagram.error_policies import ErrorPolicy, Outcome
from service.accounts.holds import accepts_code, remedy, what_it_asks
from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.support.ledger import LedgerHarness
from tests.support.limited_ledger import LedgerFactory, ledger_factory, limits

GENERIC: Final = remedy("a_code_of_a_newer_release", "shop", {})
HOLDING: Final = (Outcome.HOLD, Outcome.FIX_PROXY, Outcome.RELOGIN)
#: Codes of holds that no policy has.
OTHERS: Final = ("paused", "unauthorized", "account_limited")
#: Codes whose remedy is what the app asks for, and nothing else.
IN_THE_APP: Final = ("challenge_required", "checkpoint_required")
CODES: Final = sorted(
    {
        each.code
        for module in (error_policies, login_policies)
        for each in vars(module).values()
        if isinstance(each, ErrorPolicy) and each.outcome in HOLDING
    }
    | {*OTHERS}
)
SAID: Final = {"at": "login", "step": "verify_email", "sent_to": "s****p@example.com"}


@pytest.mark.parametrize("code", CODES)
def test_every_hold_says_what_to_do_and_which_request_ends_it(code: str) -> None:
    text = remedy(code, "shop", {})

    assert "/accounts/shop/" in text
    assert "{" not in text.replace('{"code": "..."}', "")
    assert text != GENERIC or code in IN_THE_APP


def test_a_hold_of_a_newer_release_sends_a_person_to_the_app() -> None:
    assert GENERIC.startswith("Open Instagram as shop")


@pytest.mark.parametrize(
    ("reason", "said", "accepted"),
    [
        ("challenge_required", {}, True),
        ("two_factor_required", {"at": "login", "kind": "two_factor"}, True),
        ("login_refused", {"at": "login"}, True),
        ("challenge_required", SAID, True),
        ("challenge_required", {"at": "call"}, False),
        ("challenge_required", {"at": "login", "kind": "native"}, False),
        ("challenge_required", {"at": "login", "kind": "auth_platform"}, False),
        ("challenge_required", {"at": "login", "step": "selfie_captcha"}, False),
        ("checkpoint_required", {"at": "login"}, False),
        ("bad_password", {"at": "login"}, False),
    ],
)
def test_a_code_is_accepted_where_a_login_can_be_answered_with_one(
    reason: str, said: dict[str, str], accepted: bool
) -> None:
    assert accepts_code(reason, said) is accepted


def test_a_challenge_says_where_the_code_was_sent() -> None:
    text = remedy("challenge_required", "shop", SAID)
    assert "s****p@example.com" in text
    assert "POST /accounts/shop/challenge" in text


def test_a_challenge_that_only_the_app_answers_does_not_ask_for_a_code() -> None:
    text = remedy("challenge_required", "shop", {"at": "call"})
    assert "/challenge" not in text
    assert "POST /accounts/shop/resume" in text


# -- over a store


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def hold(ledger: LedgerHarness, reason: str, said: dict[str, str]) -> str:
    """Hold the account for an error of a job; return the job."""
    claim = ledger.claim(ledger.add_job())
    asks = what_it_asks(reason, "shop", said)
    effect = AccountEffect(hold=reason, note="It happened.", asks=asks, said=said)
    assert ledger.release(claim, Status.HELD, effect=effect) == "ok"
    return claim.id


def shown(ledger: LedgerHarness) -> Any:
    return ledger.run(ledger.controls.show("shop"))["hold"]


def test_an_account_shows_which_job_met_its_hold_and_what_instagram_said(
    ledger: LedgerHarness,
) -> None:
    job_id = hold(ledger, "challenge_required", SAID)

    found = shown(ledger)

    assert (found["job_id"], found["accepts_code"]) == (job_id, True)
    assert found["instagram"] == {**SAID, "kind": None, "url": None}
    assert found["remedy"] == remedy("challenge_required", "shop", SAID)
    assert found["note"] == "It happened."


def test_a_hold_that_is_not_instagrams_doing_shows_nothing_of_it(ledger: LedgerHarness) -> None:
    job_id = hold(ledger, "proxy_refused", {})
    assert (shown(ledger)["job_id"], shown(ledger)["instagram"]) == (job_id, None)


def test_a_pause_says_how_it_ends_and_that_no_job_met_it(ledger: LedgerHarness) -> None:
    ledger.run(ledger.controls.pause("shop", "holidays"))
    found = shown(ledger)
    assert (found["job_id"], found["instagram"], found["accepts_code"]) == (None, None, False)
    assert found["remedy"] == "POST /accounts/shop/resume when it may go on."


def test_a_pause_of_a_held_account_keeps_what_the_hold_says(ledger: LedgerHarness) -> None:
    job_id = hold(ledger, "challenge_required", SAID)
    ledger.run(ledger.controls.pause("shop", "holidays"))
    assert (shown(ledger)["reason"], shown(ledger)["job_id"]) == ("challenge_required", job_id)


@pytest.mark.parametrize("end", ["resume", "code"])
def test_a_later_hold_shows_nothing_of_an_earlier_one(ledger: LedgerHarness, end: str) -> None:
    hold(ledger, "challenge_required", SAID)
    if end == "resume":
        ledger.run(ledger.controls.resume("shop"))
    else:
        ledger.run(ledger.controls.clear_verification_hold("shop", ["challenge_required"]))
    assert ledger.store.hget("hg:acct:shop", "hold_met") is None

    ledger.run(ledger.controls.pause("shop"))

    assert (shown(ledger)["job_id"], shown(ledger)["instagram"]) == (None, None)


def test_a_hold_that_an_older_release_made_is_told_by_its_code(ledger: LedgerHarness) -> None:
    # Given what an older release leaves: its own hold beside what it knows nothing of
    hold(ledger, "challenge_required", SAID)
    ledger.store.hset(
        "hg:acct:shop", mapping={"hold": "two_factor_required", "hold_since": "5", "hold_note": ""}
    )

    found = shown(ledger)

    assert (found["job_id"], found["instagram"], found["note"]) == (None, None, None)
    assert (found["accepts_code"], found["reason"]) == (True, "two_factor_required")
    assert "totp_seed" in found["remedy"]


def test_the_callback_of_a_hold_says_the_same(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(callback="crm"))
    job_id = hold(ledger, "challenge_required", SAID)

    [delivery_id] = cast("list[bytes]", ledger.store.zrange("hg:dlvs", 0, 0))
    delivery = ledger.delivery(delivery_id.decode())

    assert (delivery["type"], delivery["payload"]["data"]) == (
        "account.held",
        {
            "account": "shop",
            "reason": "challenge_required",
            "message": "It happened.",
            "job_id": job_id,
            "remedy": shown(ledger)["remedy"],
            "accepts_code": True,
            "instagram": SAID,
        },
    )
