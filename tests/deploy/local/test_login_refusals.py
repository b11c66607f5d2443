"""Logins that the fake Instagram refuses, through each channel that a refusal comes by."""

from __future__ import annotations

import asyncio

import pytest
from aiograpi.exceptions import ClientError

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.login_refusals import LOGIN_REFUSALS, Channel
from deploy.local.instagram.state import SHOP_PASSWORD
from tests.support.unmodified_client import client_for


def refused_login(fake_instagram: FakeInstagram) -> tuple[str, object]:
    """Log in as the shop, with the right password; returns the exception's name and the reply."""

    async def scenario() -> tuple[str, object]:
        async with client_for(fake_instagram) as client:
            with pytest.raises(ClientError) as caught:
                await client.login("shop", SHOP_PASSWORD)
            assert client.user_id is None
            return type(caught.value).__name__, client.last_json

    return asyncio.run(scenario())


@pytest.mark.parametrize("channel", ["legacy", "caa"])
@pytest.mark.parametrize("name", sorted(LOGIN_REFUSALS))
def test_a_refusal_reaches_the_client_with_its_words(
    fake_instagram: FakeInstagram, name: str, channel: Channel
) -> None:
    fake_instagram.refuse_logins("shop", name, channel=channel)

    raised, _ = refused_login(fake_instagram)

    assert raised == LOGIN_REFUSALS[name].raises
    assert {entry["outcome"] for entry in fake_instagram.logins()} == {name}


def test_bloks_hides_the_words_in_a_success(fake_instagram: FakeInstagram) -> None:
    fake_instagram.refuse_logins("shop", "login_inactive", channel="bloks")

    raised, reply = refused_login(fake_instagram)

    assert raised == "ClientError"
    assert "disabled for violating our terms" in str(reply)
    assert "inactive user" in str(reply)
    assert [entry["status"] for entry in fake_instagram.log("login")] == [200]


def test_bloks_presents_a_challenge_with_its_data(fake_instagram: FakeInstagram) -> None:
    fake_instagram.refuse_logins("shop", "login_challenge", channel="bloks")

    raised, reply = refused_login(fake_instagram)

    assert raised == "ClientError"
    assert "PresentCheckpointsFlow" in str(reply)
    assert "challenge_required" in str(reply)


def test_a_silent_refusal_has_neither_a_session_nor_words(fake_instagram: FakeInstagram) -> None:
    fake_instagram.refuse_logins("shop", "login_bad_password", channel="silent")

    raised, reply = refused_login(fake_instagram)

    assert raised == "ClientError"
    assert "password" not in str(reply)


def test_a_number_of_logins_is_refused_and_then_no_more(fake_instagram: FakeInstagram) -> None:
    fake_instagram.refuse_logins("shop", "login_ip_block", times=1)
    refused_login(fake_instagram)

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            assert await client.login("shop", SHOP_PASSWORD)

    asyncio.run(scenario())


def test_a_refusal_can_be_taken_back(fake_instagram: FakeInstagram) -> None:
    fake_instagram.refuse_logins("shop", "login_ip_block")
    refused_login(fake_instagram)
    fake_instagram.refuse_logins("shop", None)

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            assert await client.login("shop", SHOP_PASSWORD)

    asyncio.run(scenario())


def test_an_unknown_refusal_is_refused(fake_instagram: FakeInstagram) -> None:
    with pytest.raises(ValueError, match="refusal 'login_nope': use one of"):
        fake_instagram.refuse_logins("shop", "login_nope")
