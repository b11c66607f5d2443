"""One account's gateway against the fake Instagram."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from aiograpi import exceptions as ig
from structlog.testing import capture_logs

from actors.instagram.errors import Outcome, classify
from actors.instagram.gateway import Gateway
from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.receipts import CommentReceipt, DmReceipt
from actors.instagram.session_manager import LoginRefused
from deploy.local.instagram.client import FakeInstagram
from deploy.local.wait import until
from service.accounts.device_identity import device_of
from service.accounts.session_settings import is_logged_in
from service.accounts.session_store import SessionUnreadable, StoredSession
from service.instagram.ids import InvalidIdentifier, media_pk
from tests.support.gateway import GatewayHarness
from tests.support.session_store import open_session_store

POST = "3700000000000000001"
TOTP_SEED = "JBSWY3DPEHPK3PXP"


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


async def log_in(gateway: Gateway) -> None:
    await gateway.ensure_login()


def calls(harness: GatewayHarness) -> list[str]:
    return [entry["call"] for entry in harness.fake_instagram.log()]


def password_logins(harness: GatewayHarness) -> int:
    return calls(harness).count("login")


# Operations of a job


def test_a_dm_to_a_username_arrives_with_its_token(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> tuple[str, DmReceipt]:
        recipient = await gateway.resolve("jenny.rosen")
        assert recipient.username == "jenny.rosen"
        return recipient.pk, await gateway.send_dm(recipient.pk, "Thank you!", "job_x:1")

    pk, receipt = harness.run(steps)

    (dm,) = harness.fake_instagram.dms()
    assert (dm["recipient_pks"], dm["text"], dm["sender"]) == ([pk], "Thank you!", "shop")
    assert receipt == DmReceipt(dm["item_id"], dm["thread_id"], client_context_for("job_x:1"))
    assert dm["client_context"] == receipt.client_context


def test_a_comment_arrives_with_its_token(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> CommentReceipt:
        return await gateway.comment(media_pk(POST + "_123"), "Lovely!", "job_c:1")

    receipt = harness.run(steps)
    again = harness.run(steps)

    first, second = harness.fake_instagram.comments()
    assert (first["pk"], second["pk"]) == (receipt.comment_id, again.comment_id)
    assert first["text"] == "Lovely!"
    assert first["idempotence_token"] == second["idempotence_token"]


def test_a_pk_needs_no_call_and_a_username_of_digits_is_looked_up(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("123456")

    async def steps(gateway: Gateway) -> None:
        assert (await gateway.resolve("314159")).pk == "314159"
        assert (await gateway.resolve("@123456")).pk == pk

    harness.run(steps)
    assert calls(harness).count("usernameinfo") == 1


def test_an_invalid_recipient_is_rejected_without_a_call(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> None:
        with pytest.raises(InvalidIdentifier):
            await gateway.resolve("no such name!")
        with pytest.raises(InvalidIdentifier):
            await gateway.send_dm("12,13", "hello", "job_x:1")

    harness.run(steps)
    assert calls(harness) == []


def test_the_private_api_uses_http_2(harness: GatewayHarness) -> None:
    harness.run(log_in)
    versions = {entry["call"]: entry["http_version"] for entry in harness.fake_instagram.log()}
    assert versions.pop("password_key") == "1.1"
    assert set(versions.values()) == {"2"}


# The session


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


# The login


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


# Verification


def test_a_dm_whose_reply_was_lost_is_found_by_its_token(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        assert await gateway.find_dm(pk, "job_x:1", "Hello", 0) is None
        harness.fake_instagram.fault("broadcast_text", "drop_after")
        with pytest.raises(ig.ClientError) as raised:
            await gateway.send_dm(pk, "Hello", "job_x:1")
        decision = classify(raised.value, writing=True)
        assert (decision.outcome, decision.ambiguous) == (Outcome.VERIFY, True)
        (dm,) = harness.fake_instagram.dms()
        found = await gateway.find_dm(pk, "job_x:1", "Hello", 0)
        assert found == DmReceipt(dm["item_id"], dm["thread_id"], dm["client_context"])
        context = client_context_for("job_x:1")
        assert await gateway.find_dm(pk, context, "Hello", 0) == found
        assert await gateway.find_dm(pk, "job_y:1", "Hello", 0) is None

    harness.run(steps)


def test_a_dm_with_a_link_is_found_too(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        sent = await gateway.send_dm(pk, "See https://example.com/a", "job_x:1")
        assert await gateway.find_dm(pk, "job_x:1", "See https://example.com/a", 0) == sent

    harness.run(steps)


def test_a_dm_is_found_on_a_later_page(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        sent = await gateway.send_dm(pk, "first", "job_first:1")
        for n in range(22):
            await gateway.send_dm(pk, f"later {n}", f"job_{n}:1")
        assert await gateway.find_dm(pk, "job_first:1", "first", 0) == sent

    harness.run(steps)


def test_a_comment_whose_reply_was_lost_is_found(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> None:
        assert await gateway.find_comment(POST, "Lovely!", 0) is None
        harness.fake_instagram.fault("comment", "drop_after")
        with pytest.raises(ig.ClientError):
            await gateway.comment(POST, "Lovely!", "job_c:1")
        for n in range(22):
            await gateway.comment(POST, f"later {n}", f"job_{n}:1")
        (first, *_) = harness.fake_instagram.comments()
        found = await gateway.find_comment(POST, "Lovely!", 60_000)
        assert found == CommentReceipt(first["pk"])
        assert await gateway.find_comment(POST, "Lovely!", -3_600_000) is None

    harness.run(steps)


@pytest.mark.parametrize("offset", [-300, -5, 5, 300])
def test_writes_are_found_when_instagrams_clock_differs(
    harness: GatewayHarness, offset: int
) -> None:
    harness.fake_instagram.shift_clock(offset)
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        # Given a DM on a later page, and a comment
        dm = await gateway.send_dm(pk, "Hello", "job_x:1")
        for n in range(22):
            await gateway.send_dm(pk, f"later {n}", f"job_{n}:1")
        comment = await gateway.comment(POST, "Lovely!", "job_c:1")
        # Then they are found, but not for an intent that is recorded only later
        assert await gateway.find_dm(pk, "job_x:1", "Hello", 2_000) == dm
        assert await gateway.find_comment(POST, "Lovely!", 0) == comment
        assert await gateway.find_comment(POST, "Lovely!", -20_000) is None

    harness.run(steps)


def test_a_comment_owned_by_another_job_is_not_found(harness: GatewayHarness) -> None:
    asked: list[str] = []

    async def steps(gateway: Gateway) -> None:
        first = await gateway.comment(POST, "Lovely!", "job_a:1")
        second = await gateway.comment(POST, "Lovely!", "job_b:1")

        async def others(ids: Sequence[str]) -> set[str]:
            asked.extend(ids)
            return {entry for entry in ids if entry != second.comment_id}

        assert await gateway.find_comment(POST, "Lovely!", 9_000) == first
        assert await gateway.find_comment(POST, "Lovely!", 9_000, others) == second
        assert asked == [second.comment_id, first.comment_id]

    harness.run(steps)


# No duplicates


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
