"""Failures of a write: none makes it twice, and each is named."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiograpi import exceptions as ig

from actors.instagram.errors import Outcome, classify
from actors.instagram.gateway import Gateway
from tests.support.gateway import GatewayHarness, calls
from tests.support.session_store import open_session_store

TOTP_SEED = "JBSWY3DPEHPK3PXP"


def test_a_write_is_stored_once_when_its_connection_is_cut(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        await gateway.send_dm(pk, "warm", "job_warm:1")
        harness.fake_instagram.fault("broadcast_text", "drop_after")
        with pytest.raises(ig.ClientError) as raised:
            await gateway.send_dm(pk, "once", "job_x:1")
        assert classify(raised.value, writing=True).ambiguous

    harness.run(steps)
    assert [dm["text"] for dm in harness.fake_instagram.dms()] == ["warm", "once"]


@pytest.mark.parametrize(
    "effects",
    [
        {"status_after_effect": 408},
        {"status_after_effect": 500},
        {"effect": "empty_ok"},
        {"effect": "truncate"},
        {"effect": "not_json"},
    ],
)
def test_an_unclear_reply_makes_a_write_ambiguous_and_is_not_resent(
    harness: GatewayHarness, effects: dict[str, Any]
) -> None:
    pk = harness.fake_instagram.add_user("somebody")
    harness.fake_instagram.fault("broadcast_text", **effects)

    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        begun = time.monotonic()
        with pytest.raises(Exception) as raised:
            await gateway.send_dm(pk, "once", "job_x:1")
        assert time.monotonic() - begun < 1.5
        decision = classify(raised.value, writing=True)
        assert (decision.outcome, decision.ambiguous) == (Outcome.VERIFY, True)

    harness.run(steps)
    assert len(harness.fake_instagram.dms()) == 1
    assert calls(harness).count("broadcast_text") == 1


def test_a_hanging_call_ends_at_its_time_limit(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        harness.fake_instagram.fault("broadcast_text", "hang")
        with pytest.raises(TimeoutError) as raised:
            await gateway.send_dm(pk, "stuck", "job_x:1")
        decision = classify(raised.value, writing=True)
        assert (decision.code, decision.ambiguous) == ("timed_out", True)
        await gateway.send_dm(pk, "the next one", "job_y:1")

    harness.run(steps, call_seconds=3.0)


def test_refused_proxy_credentials_are_named(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        harness.fake_instagram.proxy_credentials("user:proxy-secret")
        with pytest.raises(ig.ConnectProxyError) as raised:
            await gateway.send_dm("1", "not sent", "job_x:1")
        decision = classify(raised.value, writing=True)
        assert (decision.outcome, decision.code) == (Outcome.FIX_PROXY, "proxy_auth_required")
        assert not decision.ambiguous
        harness.fake_instagram.proxy_credentials(None)

    harness.run(steps)


def test_reprs_contain_no_secrets(harness: GatewayHarness) -> None:
    account = harness.account(totp_seed=TOTP_SEED, proxy="http://user:proxy-secret@127.0.0.1:1")

    async def steps() -> None:
        async with open_session_store(harness.store_url) as (vault, _):
            shown = repr([account, account.client, Gateway(account, vault)])
            for secret in (account.password, TOTP_SEED, "proxy-secret"):
                assert secret not in shown

    asyncio.run(steps())
