"""A gateway's logins: codes, challenges, and what needs a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiograpi import exceptions as ig

from actors.instagram.errors import Outcome, classify
from actors.instagram.gateway import Gateway
from actors.instagram.session_manager import LoginRefused
from tests.support.gateway import GatewayHarness, calls, log_in
from tests.support.session_store import open_session_store

TOTP_SEED = "JBSWY3DPEHPK3PXP"


def test_a_user_id_without_a_session_logs_in_without_a_question(harness: GatewayHarness) -> None:
    harness.run(log_in)
    old = harness.stored_session()
    pk = old.settings["authorization_data"]["ds_user_id"]
    settings = dict(old.settings, authorization_data={}, cookies={"ds_user_id": pk})

    async def replace() -> None:
        async with open_session_store(harness.store_url) as (vault, _):
            await vault.save("shop", "shop", settings, version=old.version)

    asyncio.run(replace())
    harness.run(log_in)
    assert harness.login_outcomes() == ["ok", "ok"]
    assert "current_user" not in calls(harness)


def test_a_totp_account_logs_in_automatically(harness: GatewayHarness) -> None:
    harness.fake_instagram.add_account("safe.shop", "pw-of-safe-shop", totp_seed=TOTP_SEED)
    account = harness.account(
        name="safe",
        username="safe.shop",
        password="pw-of-safe-shop",
        totp_seed="jbsw y3dp ehpk 3pxp",
    )
    harness.run(log_in, account)
    assert harness.login_outcomes() == ["two_factor_required", "ok"]


def test_a_totp_account_without_a_seed_needs_a_person(harness: GatewayHarness) -> None:
    harness.fake_instagram.add_account("safe.shop", "pw-of-safe-shop", totp_seed=TOTP_SEED)
    account = harness.account(name="safe", username="safe.shop", password="pw-of-safe-shop")

    async def steps(gateway: Gateway) -> None:
        with pytest.raises(ig.TwoFactorRequired) as raised:
            await gateway.ensure_login()
        decision = classify(raised.value, writing=False)
        assert (decision.outcome, decision.code) == (Outcome.HOLD, "two_factor_required")

    harness.run(steps, account)


def test_a_wrong_password_needs_a_person_and_is_sent_twice_at_most(
    harness: GatewayHarness,
) -> None:
    async def steps(gateway: Gateway) -> None:
        with pytest.raises(LoginRefused) as raised:
            await gateway.ensure_login()
        decision = classify(raised.value, writing=False)
        assert (decision.outcome, decision.code) == (Outcome.HOLD, "bad_password")
        assert "wrong-one" not in decision.message

    harness.run(steps, harness.account(password="wrong-one"))
    # The current flow falls back to the legacy one, which names the reason.
    assert [(entry["via"], entry["outcome"]) for entry in harness.fake_instagram.logins()] == [
        ("caa", "bad_password"),
        ("legacy", "bad_password"),
    ]


@pytest.mark.parametrize("seed", [None, TOTP_SEED])
def test_a_challenge_needs_a_person_and_does_not_read_stdin(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch, seed: str | None
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("stdin was read"))
    harness.fake_instagram.add_account("new.shop", "pw-of-new-shop", profile_code="123456")
    account = harness.account(
        name="new", username="new.shop", password="pw-of-new-shop", totp_seed=seed
    )

    async def steps(gateway: Gateway) -> None:
        with pytest.raises(ig.ChallengeRequired) as raised:
            await gateway.ensure_login()
        decision = classify(raised.value, writing=False)
        assert (decision.outcome, decision.code) == (Outcome.HOLD, "challenge_required")

    harness.run(steps, account)
    # A TOTP code does not answer an e-mail challenge and is not used for it.
    assert "profile_code_verify" not in calls(harness)


def test_a_persons_verification_code_answers_the_challenge(harness: GatewayHarness) -> None:
    harness.fake_instagram.add_account("new.shop", "pw-of-new-shop", profile_code="123456")
    account = harness.account(name="new", username="new.shop", password="pw-of-new-shop")
    asked: list[tuple[str, bool]] = []

    @asynccontextmanager
    async def guard(account: Any, first: bool) -> AsyncIterator[str | None]:
        asked.append((account.name, first))
        yield "123456"

    harness.run(log_in, account, login_guard=guard)
    assert asked == [("new", True)]
    assert harness.login_outcomes() == ["challenge_required", "ok"]


def test_a_login_forbidden_by_the_guard_is_not_made(harness: GatewayHarness) -> None:
    class TooOftenError(Exception):
        pass

    @asynccontextmanager
    async def guard(_asking: Any, first: bool) -> AsyncIterator[str | None]:
        if not first:
            raise TooOftenError
        yield None

    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        harness.fake_instagram.expire_session("shop")
        with pytest.raises(TooOftenError):
            await gateway.resolve("jenny.rosen")

    harness.run(steps, login_guard=guard)
    assert harness.login_outcomes() == ["ok"]
