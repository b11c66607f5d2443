"""Logging in to the fake Instagram with the unmodified client."""

from __future__ import annotations

import asyncio

import pytest
from aiograpi import Client
from aiograpi.exceptions import (
    BadPassword,
    ClientError,
    LoginRequired,
    ProxyAddressIsBlocked,
    TwoFactorRequired,
)

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.state import SHOP_PASSWORD
from tests.support.unmodified_client import client_for, shop_client

SEED = "JBSWY3DPEHPK3PXP"


def calls(fake_instagram: FakeInstagram) -> list[str]:
    return [entry["call"] for entry in fake_instagram.log()]


def test_a_login_sends_the_apps_eight_requests(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            assert client.user_id
            assert client.mid

    asyncio.run(scenario())

    assert calls(fake_instagram) == [
        "usdid_register",
        "process_client_data",
        "attestation",
        "oauth_token_fetch",
        "password_key",
        "login",
        "reels_tray",
        "timeline",
    ]
    assert [entry["outcome"] for entry in fake_instagram.logins()] == ["ok"]


def test_mobile_calls_use_http_2(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram):
            pass

    asyncio.run(scenario())

    versions = {entry["call"]: entry["http_version"] for entry in fake_instagram.log()}
    assert versions.pop("password_key") == "1.1"  # the client's public session
    assert set(versions.values()) == {"2"}


def test_a_wrong_password_is_reported_and_opens_no_session(
    fake_instagram: FakeInstagram,
) -> None:
    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            with pytest.raises(BadPassword):
                await client.login("shop", "not-the-password")
            assert client.user_id is None

    asyncio.run(scenario())

    # The client tries the current flow, the legacy one (for the reason), then the current again.
    assert [entry["via"] for entry in fake_instagram.logins()] == ["caa", "legacy", "caa"]
    assert {entry["outcome"] for entry in fake_instagram.logins()} == {"bad_password"}


def test_an_unknown_account_cannot_log_in(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            with pytest.raises(ProxyAddressIsBlocked):
                await client.login("nobody.here", "some-password")

    asyncio.run(scenario())


def test_the_legacy_flow_logs_in_as_well(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            assert await client.login_legacy("shop", SHOP_PASSWORD)
            assert (await client.account_info()).username == "shop"

    asyncio.run(scenario())

    assert [entry["via"] for entry in fake_instagram.logins()] == ["legacy"]


def test_a_totp_code_is_requested_and_checked(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_account("careful", "careful-password", totp_seed=SEED)

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            with pytest.raises(TwoFactorRequired):
                await client.login("careful", "careful-password")
            with pytest.raises(TwoFactorRequired):
                await client.login("careful", "careful-password", verification_code="000000")
            assert client.user_id is None
            code = Client.totp_generate_code(SEED)
            assert await client.login("careful", "careful-password", verification_code=code)
            assert (await client.account_info()).username == "careful"

    asyncio.run(scenario())

    assert [entry["outcome"] for entry in fake_instagram.logins()] == [
        "two_factor_required",
        "two_factor_required",
        "wrong_code",
        "two_factor_required",
        "ok",
    ]


def test_a_login_with_a_totp_code_sends_twelve_requests(
    fake_instagram: FakeInstagram,
) -> None:
    fake_instagram.add_account("careful", "careful-password", totp_seed=SEED)

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            code = Client.totp_generate_code(SEED)
            await client.login("careful", "careful-password", verification_code=code)

    asyncio.run(scenario())

    assert len(calls(fake_instagram)) == 12
    assert calls(fake_instagram)[6:10] == [
        "totp_entrypoint",
        "totp_method_picker",
        "totp_select_method",
        "totp_verify",
    ]


def test_an_e_mail_code_is_requested_once(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_account("doubted", "doubted-password", profile_code="246810")

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            with pytest.raises(ClientError, match="did not return a session"):
                await client.login("doubted", "doubted-password", verification_code="111111")
            assert await client.login("doubted", "doubted-password", verification_code="246810")
        async with client_for(fake_instagram) as client:
            assert await client.login("doubted", "doubted-password")

    asyncio.run(scenario())


def test_a_saved_session_works_without_a_password(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            settings = client.get_settings()
        async with client_for(fake_instagram) as client:
            client.set_settings(settings)
            assert (await client.account_info()).username == "shop"

    asyncio.run(scenario())

    assert len(fake_instagram.logins()) == 1


def test_an_expired_session_needs_a_login(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            assert fake_instagram.expire_session("shop") == 1
            with pytest.raises(LoginRequired):
                await client.account_info()
            assert await client.login()
            await client.account_info()

    asyncio.run(scenario())

    assert [entry["outcome"] for entry in fake_instagram.logins()] == ["ok", "ok"]


def test_each_device_of_an_account_is_listed_once(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            await client.account_info()
            own = client.android_device_id
            assert [entry["android_device_id"] for entry in fake_instagram.devices()] == [own]
        async with shop_client(fake_instagram):
            pass

    asyncio.run(scenario())

    assert len(fake_instagram.devices()) == 2
    assert {entry["account"] for entry in fake_instagram.devices()} == {"shop"}


def test_a_login_is_quick(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> float:
        fake_instagram.reset()
        async with shop_client(fake_instagram):
            first, *_, last = fake_instagram.log()
        assert last["ended"] is not None
        return last["ended"] - first["begun"]

    # The fastest of some, because a loaded machine slows down the others
    assert min(asyncio.run(scenario()) for _ in range(5)) < 1.0
