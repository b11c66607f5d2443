"""A gateway's session: stored before it is used, shared by processes, and of one account."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from aiograpi import exceptions as ig
from structlog.testing import capture_logs

from actors.instagram.errors import Outcome, classify
from actors.instagram.gateway import Gateway
from deploy.local.wait import until
from service.accounts.device_identity import device_of
from service.accounts.session_settings import is_logged_in
from service.accounts.session_store import SessionUnreadable, StoredSession
from tests.support.gateway import GatewayHarness, calls, log_in
from tests.support.session_store import open_session_store


def test_processes_and_jobs_share_one_login(harness: GatewayHarness) -> None:
    async def send(gateway: Gateway) -> None:
        await asyncio.gather(*(gateway.send_dm("314159", str(n), f"job_{n}:1") for n in range(3)))

    pk = harness.fake_instagram.add_user("somebody", pk=314159)
    assert pk == "314159"
    harness.run(send)
    before = len(calls(harness))
    harness.run(send)

    assert harness.login_outcomes() == ["ok"]
    assert calls(harness)[before:] == ["broadcast_text"] * 3
    assert harness.fake_instagram.overlaps() == []
    assert len(harness.fake_instagram.devices()) == 1


def test_a_saved_session_is_used_without_a_request(harness: GatewayHarness) -> None:
    harness.run(log_in)
    before = len(calls(harness))
    stored = harness.stored_session()
    harness.run(log_in)
    assert len(calls(harness)) == before
    assert harness.stored_session() == stored


def test_processes_load_each_others_sessions(harness: GatewayHarness) -> None:
    async def alternate() -> None:
        async with harness.gateway() as one, harness.gateway() as two:
            await one.ensure_login()
            await two.ensure_login()
            harness.fake_instagram.expire_session("shop")
            await one.resolve("jenny.rosen")
            await two.resolve("jenny.rosen")
            await one.resolve("jenny.rosen")

    asyncio.run(alternate())
    assert harness.login_outcomes() == ["ok", "ok"]
    assert len(harness.fake_instagram.devices()) == 1


def test_the_device_is_saved_before_the_first_login_and_survives_its_failure(
    harness: GatewayHarness,
) -> None:
    harness.fake_instagram.fault("login", "drop_before")

    async def fail(gateway: Gateway) -> None:
        with pytest.raises(ig.ClientError):
            await gateway.ensure_login()

    harness.run(fail)
    device = device_of(harness.stored_session().settings)
    assert ("usdid", "private_key") in device
    harness.run(log_in)

    assert device_of(harness.stored_session().settings) == device
    (seen,) = harness.fake_instagram.devices()
    assert seen["phone_id"] == device["uuids", "phone_id"]


def wait_for_call(harness: GatewayHarness, call: str) -> None:
    until(lambda: bool(harness.fake_instagram.log(call)), 10, call)


def settings_stored_during(
    harness: GatewayHarness, call: str, steps: Callable[[Gateway], Awaitable[Any]]
) -> Any:
    """The stored settings while a call is under way, as a crash would leave them."""
    harness.fake_instagram.fault(call, "hang")

    async def interrupted() -> StoredSession | None:
        async with (
            harness.gateway() as gateway,
            open_session_store(harness.store_url) as (vault, _),
        ):
            task = asyncio.ensure_future(steps(gateway))
            await asyncio.to_thread(wait_for_call, harness, call)
            stored = await vault.load("shop", "shop")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return stored

    stored = asyncio.run(interrupted())
    assert stored is not None
    harness.fake_instagram.clear_faults()
    return stored.settings


def test_the_device_is_stored_before_the_first_request(harness: GatewayHarness) -> None:
    settings = settings_stored_during(harness, "usdid_register", log_in)
    assert settings["usdid"]["private_key"]
    harness.run(log_in)
    assert device_of(harness.stored_session().settings) == device_of(settings)


def test_a_new_login_is_stored_before_the_call_it_was_for(harness: GatewayHarness) -> None:
    async def resolve(gateway: Gateway) -> None:
        await gateway.resolve("jenny.rosen")

    assert is_logged_in(settings_stored_during(harness, "usernameinfo", resolve))
    harness.run(resolve)
    assert harness.login_outcomes() == ["ok"]


def without(settings: dict[str, Any], *keys: str) -> dict[str, Any]:
    uuids = {key: value for key, value in settings["uuids"].items() if key not in keys}
    return {key: value for key, value in settings.items() if key not in keys} | {"uuids": uuids}


@pytest.mark.parametrize("call", ["usernameinfo", "usdid_register"])
def test_ids_missing_from_an_older_session_are_stored_before_use(
    harness: GatewayHarness, call: str
) -> None:
    harness.run(log_in)
    old = harness.stored_session()
    incomplete = without(old.settings, "usdid", "request_id")

    async def replace() -> None:
        async with open_session_store(harness.store_url) as (vault, _):
            await vault.save("shop", "shop", incomplete, version=old.version, reset_device=True)

    asyncio.run(replace())
    if call == "usdid_register":
        harness.fake_instagram.reset()  # ends all sessions

    async def resolve(gateway: Gateway) -> None:
        await gateway.resolve("jenny.rosen")

    settings = settings_stored_during(harness, call, resolve)
    assert settings["uuids"]["request_id"]
    assert bool(settings.get("usdid")) == (call == "usdid_register")


def test_an_unsaved_session_is_saved_after_the_next_call(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        before = int(store.hget("hg:session:shop", "version") or 0)
        store.delete("hg:session:shop:earlier")
        store.set("hg:session:shop:earlier", "not a list: the save fails")
        harness.fake_instagram.expire_session("shop")
        assert await gateway.resolve("jenny.rosen")
        assert int(store.hget("hg:session:shop", "version") or 0) == before
        store.delete("hg:session:shop:earlier")
        assert await gateway.resolve("jenny.rosen")
        assert int(store.hget("hg:session:shop", "version") or 0) == before + 1

    with capture_logs() as lines:
        harness.run(steps)
    assert harness.login_outcomes() == ["ok", "ok"]
    assert {(line["event"], line["account"]) for line in lines} == {
        ("session not saved; saving again after the next call", "shop")
    }


def test_nothing_is_sent_unless_the_device_can_be_stored(harness: GatewayHarness) -> None:
    async def closed_store() -> None:
        async with open_session_store("redis://127.0.0.1:1") as (vault, _):
            gateway = Gateway(harness.account(), vault)
            with pytest.raises(redis.exceptions.ConnectionError):
                await gateway.ensure_login()
            await gateway.close()

    asyncio.run(closed_store())
    assert calls(harness) == []


def test_a_login_whose_last_request_fails_still_leaves_a_session(harness: GatewayHarness) -> None:
    harness.fake_instagram.fault("timeline", error="server_error")

    async def fail(gateway: Gateway) -> None:
        with pytest.raises(ig.ClientUnknownError):
            await gateway.ensure_login()

    harness.run(fail)
    harness.run(log_in)
    assert harness.login_outcomes() == ["ok"]


@pytest.mark.parametrize("call", ["usernameinfo", "broadcast_text"])
def test_an_expired_session_is_renewed_once_and_the_call_repeated(
    harness: GatewayHarness, call: str
) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        harness.fake_instagram.expire_session("shop")
        if call == "usernameinfo":
            await gateway.resolve("somebody")
        else:
            await gateway.send_dm(pk, "once", "job_x:1")

    harness.run(steps)
    assert harness.login_outcomes() == ["ok", "ok"]
    assert calls(harness).count(call) == 2
    assert len(harness.fake_instagram.dms()) == (call == "broadcast_text")
    assert len(harness.fake_instagram.devices()) == 1


def test_a_renewed_session_that_is_refused_is_not_renewed_again(
    harness: GatewayHarness,
) -> None:
    harness.fake_instagram.fault("usernameinfo", error="login_required", times=None)

    async def steps(gateway: Gateway) -> None:
        with pytest.raises(ig.LoginRequired):
            await gateway.resolve("jenny.rosen")

    harness.run(steps)
    assert harness.login_outcomes() == ["ok", "ok"]


def test_a_401_renews_the_session_only_if_it_has_expired(harness: GatewayHarness) -> None:
    harness.fake_instagram.fault("usernameinfo", error="unauthorized")

    async def session_valid(gateway: Gateway) -> None:
        with pytest.raises(ig.ClientUnauthorizedError):
            await gateway.resolve("jenny.rosen")

    harness.run(session_valid)
    assert harness.login_outcomes() == ["ok"]

    harness.fake_instagram.fault("usernameinfo", error="unauthorized")
    harness.fake_instagram.fault("current_user", error="login_required")

    async def session_over(gateway: Gateway) -> None:
        await gateway.resolve("jenny.rosen")

    harness.run(session_over)
    assert harness.login_outcomes() == ["ok", "ok"]


def test_a_session_of_another_username_does_not_create_a_device(harness: GatewayHarness) -> None:
    harness.run(log_in)
    before = len(calls(harness))

    async def steps(gateway: Gateway) -> None:
        with pytest.raises(SessionUnreadable) as raised:
            await gateway.ensure_login()
        assert classify(raised.value, writing=False).outcome is Outcome.HOLD

    harness.run(steps, harness.account(username="other.shop"))
    assert len(calls(harness)) == before
    assert harness.stored_session().version > 0


def test_an_instagrapi_session_is_loaded_and_completed(harness: GatewayHarness) -> None:
    harness.run(log_in)
    old = harness.stored_session()
    settings = dict(old.settings, request_timeout=9, tls_verify="/nowhere/ca.pem")
    settings = without(settings, "usdid", "timezone_name", "request_id")

    async def replace() -> None:
        async with open_session_store(harness.store_url) as (vault, _):
            await vault.save("shop", "shop", settings, version=old.version, reset_device=True)

    asyncio.run(replace())

    async def steps(gateway: Gateway) -> None:
        await gateway.resolve("jenny.rosen")

    harness.run(steps)
    taken = harness.stored_session().settings
    assert taken["uuids"]["request_id"]
    assert "tls_verify" not in taken
    assert "request_timeout" not in taken
    assert harness.login_outcomes() == ["ok"]
    harness.run(steps)
    assert device_of(harness.stored_session().settings) == device_of(taken)
