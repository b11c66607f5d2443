"""What stops an account at the fake Instagram, and each one's way back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiograpi.exceptions import (
    ChallengeRequired,
    CheckpointRequired,
    ClientError,
    ClientForbiddenError,
    ClientNotFoundError,
    ConsentRequired,
    LoginRequired,
    MediaNotFound,
    UnknownError,
    UserNotFound,
)

from deploy.local.instagram.challenges import CHALLENGE_KINDS
from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.replies import ALL_REFUSALS
from deploy.local.instagram.session_ends import SESSION_ENDS
from deploy.local.instagram.state import SHOP_PASSWORD, SHOP_POST_PK
from tests.support.unmodified_client import client_for, shop_client

JENNY = 1000001


@pytest.mark.parametrize("kind", sorted(CHALLENGE_KINDS))
def test_a_challenge_stops_every_call_with_its_reply(
    fake_instagram: FakeInstagram, kind: str
) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", kind)
            for call in (client.account_info, lambda: client.direct_send("hello", [JENNY])):
                with pytest.raises(ClientError) as caught:
                    await call()
                expected = ALL_REFUSALS[CHALLENGE_KINDS[kind].refusal].raises
                assert type(caught.value).__name__ == expected

    asyncio.run(scenario())
    assert fake_instagram.dms() == []


@pytest.mark.parametrize("kind", ["was_it_me", "automated_behavior", "consent", "terms"])
def test_after_the_apps_ok_the_same_client_goes_on(
    fake_instagram: FakeInstagram, kind: str
) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", kind)
            assert fake_instagram.approve_challenge("shop") is None
            await client.account_info()

    asyncio.run(scenario())
    assert [entry["outcome"] for entry in fake_instagram.logins()] == ["ok"]


def test_an_approval_also_needs_the_same_clients_acknowledgement(
    fake_instagram: FakeInstagram,
) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", "app_approval")
            await open_challenge(client)
            with pytest.raises(ChallengeRequired):
                await client.challenge_bloks_redirect_dismiss()
            assert fake_instagram.approve_challenge("shop") == "acknowledge"
            with pytest.raises(ChallengeRequired):
                await client.account_info()
            await open_challenge(client)
            assert await client.challenge_bloks_redirect_dismiss()
            await client.account_info()

    asyncio.run(scenario())
    assert len(fake_instagram.logins()) == 1


async def open_challenge(client: Any) -> None:
    """Open the challenge's step, which the client keeps as its last reply."""
    await client.private_request("challenge/1000000/abc/")


def test_the_code_ends_a_challenge_in_its_own_step(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", "email_code", code="246810")
            await open_challenge(client)
            with pytest.raises(UnknownError, match="check the code"):
                await submit(client, security_code="000000")
            await submit(client, choice="1")
            assert (await submit(client, security_code="246810"))["action"] == "close"
            await client.account_info()
        async with client_for(fake_instagram) as client:
            assert await client.login("shop", SHOP_PASSWORD)

    asyncio.run(scenario())


async def submit(client: Any, **fields: str) -> Any:
    return await client.private_request("challenge/1000000/abc/", fields)


@pytest.mark.parametrize("kind", ["email_code", "sms_code"])
def test_the_code_ends_a_challenge_at_a_login(fake_instagram: FakeInstagram, kind: str) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", kind, code="246810")
            with pytest.raises(ChallengeRequired):
                await client.account_info()
        async with client_for(fake_instagram) as client:
            assert await client.login("shop", SHOP_PASSWORD, verification_code="246810")
            await client.account_info()

    asyncio.run(scenario())


def test_a_checkpoint_ends_with_a_new_login(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", "checkpoint")
            with pytest.raises(CheckpointRequired):
                await client.login(relogin=True)
            assert fake_instagram.approve_challenge("shop") == "login"
        async with client_for(fake_instagram) as client:
            assert await client.login("shop", SHOP_PASSWORD)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["captcha", "selfie", "suspended", "disabled", "geoblock"])
def test_some_never_end_by_an_ok(fake_instagram: FakeInstagram, kind: str) -> None:
    fake_instagram.challenge("shop", kind)

    with pytest.raises(ValueError, match=f"{kind} does not end by an OK"):
        fake_instagram.approve_challenge("shop")

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            with pytest.raises(ClientError):
                await client.login("shop", SHOP_PASSWORD)
            fake_instagram.end_challenge("shop")
            assert await client.login("shop", SHOP_PASSWORD)

    asyncio.run(scenario())


def test_a_disabled_accounts_sessions_are_over_and_its_logins_say_why(
    fake_instagram: FakeInstagram,
) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", "disabled")
            with pytest.raises(LoginRequired):
                await client.account_info()
            with pytest.raises(UnknownError, match="disabled for violating"):
                await client.login(relogin=True)

    asyncio.run(scenario())


def test_a_new_password_logs_every_client_out(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", "new_password")
            fake_instagram.change_password("shop", "a-new-password")
            with pytest.raises(ClientForbiddenError, match="user_has_logged_out"):
                await client.account_info()
        async with client_for(fake_instagram) as client:
            assert await client.login("shop", "a-new-password")

    asyncio.run(scenario())


@pytest.mark.parametrize("end", sorted(SESSION_ENDS))
def test_a_session_ends_in_each_of_the_known_ways(fake_instagram: FakeInstagram, end: str) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            assert fake_instagram.expire_session("shop", end) == 1
            with pytest.raises(ClientError) as caught:
                await client.direct_send("hello", [JENNY])
            assert type(caught.value).__name__ == SESSION_ENDS[end].raises

    asyncio.run(scenario())


def test_a_new_login_can_end_the_old_session(fake_instagram: FakeInstagram) -> None:
    fake_instagram.allow_one_session()

    async def scenario() -> None:
        async with shop_client(fake_instagram) as old, shop_client(fake_instagram) as new:
            await new.account_info()
            with pytest.raises(ClientForbiddenError, match="user_has_logged_out"):
                await old.account_info()

    asyncio.run(scenario())


def test_a_limited_account_finds_nothing_that_others_find(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.limit_account("shop")
            await client.account_info()
            with pytest.raises(UserNotFound):
                await client.user_info_by_username_v1("jenny.rosen")
            with pytest.raises(MediaNotFound):
                await client.media_info_v1(SHOP_POST_PK)
            fake_instagram.limit_account("shop", "bare_not_found")
            with pytest.raises(ChallengeRequired):
                await client.user_info_by_username_v1("jenny.rosen")
            fake_instagram.unlimit_account("shop")
            assert await client.user_info_by_username_v1("jenny.rosen")

    asyncio.run(scenario())


def test_consent_is_asked_for_with_its_text(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.challenge("shop", "consent")
            with pytest.raises(ConsentRequired):
                await client.account_info()
            assert client.last_json["consent_data"]["button_text"] == "Review Now"

    asyncio.run(scenario())


def test_an_unknown_path_is_not_a_challenge(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            with pytest.raises(ClientNotFoundError):
                await client.private_request("challenge/1000000/")

    asyncio.run(scenario())
