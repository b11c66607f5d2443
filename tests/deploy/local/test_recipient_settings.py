"""Whose messages a user takes at the fake Instagram, as the unmodified client sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiograpi.exceptions import (
    ClientBadRequestError,
    ClientError,
    ClientForbiddenError,
    ClientStatusFail,
    DirectMessageRequestsDisabled,
    UnknownError,
    UserNotFound,
)

from deploy.local.instagram.client import FakeInstagram
from tests.support.unmodified_client import client_for, shop_client


def send(fake_instagram: FakeInstagram, pk: str, *texts: str) -> Any:
    """Send texts as the shop; returns the last failure's reply, or None."""

    async def scenario() -> Any:
        async with shop_client(fake_instagram) as client:
            for text in texts:
                try:
                    await client.direct_send(text, [int(pk)])
                except ClientError as error:
                    return type(error), client.last_json
            return None

    return asyncio.run(scenario())


def texts(fake_instagram: FakeInstagram) -> list[str]:
    return [entry["text"] for entry in fake_instagram.dms()]


@pytest.mark.parametrize(
    ("setting", "raises", "words"),
    [
        ("no_requests", DirectMessageRequestsDisabled, "don't allow new message requests"),
        ("followers", ClientForbiddenError, "unless they follow you"),
        ("some", UnknownError, "Not everyone can message this account"),
        ("unavailable", ClientForbiddenError, "app version or other settings"),
    ],
)
def test_a_setting_refuses_a_stranger_with_its_own_words(
    fake_instagram: FakeInstagram, setting: str, raises: type[Exception], words: str
) -> None:
    pk = fake_instagram.add_user("choosy", messages=setting)

    error, reply = send(fake_instagram, pk, "hello")

    assert error is raises
    assert words in str(reply)
    assert fake_instagram.dms() == []


def test_followers_are_reached_by_those_they_follow(fake_instagram: FakeInstagram) -> None:
    pk = fake_instagram.add_user("choosy", messages="followers")
    fake_instagram.relate("choosy", "follows", "shop")

    assert send(fake_instagram, pk, "hello") is None

    fake_instagram.relate("choosy", "follows", "shop", holds=False)
    assert send(fake_instagram, pk, "in the thread") is None
    assert texts(fake_instagram) == ["hello", "in the thread"]


def test_who_blocks_the_account_is_out_of_reach_and_does_not_exist(
    fake_instagram: FakeInstagram,
) -> None:
    pk = fake_instagram.add_user("angry")
    assert send(fake_instagram, pk, "hello") is None
    fake_instagram.relate("angry", "blocks", "shop")

    error, _ = send(fake_instagram, pk, "hello again")

    async def look() -> None:
        async with shop_client(fake_instagram) as client:
            with pytest.raises(UserNotFound):
                await client.user_info_by_username_v1("angry")

    asyncio.run(look())
    assert error is ClientForbiddenError
    assert texts(fake_instagram) == ["hello"]


def test_a_request_is_stored_and_waits_in_the_recipients_pending_inbox(
    fake_instagram: FakeInstagram,
) -> None:
    fake_instagram.add_account("reserved", "reserved-password")
    pk = fake_instagram.add_user("reserved", messages="requests")
    assert send(fake_instagram, pk, "hello", "hello again") is None
    assert [entry["pending"] for entry in fake_instagram.dms()] == [True, True]

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            await client.login("reserved", "reserved-password")
            assert await client.direct_threads() == []
            (request,) = await client.direct_pending_inbox()
            assert request.pending
            assert await client.direct_pending_approve(request.id)
            assert await client.direct_pending_inbox() == []
            (thread,) = await client.direct_threads()
            assert not thread.pending

    asyncio.run(scenario())
    assert [entry["pending"] for entry in fake_instagram.dms()] == [False, False]


def test_one_request_takes_no_second_message_until_it_is_accepted(
    fake_instagram: FakeInstagram,
) -> None:
    pk = fake_instagram.add_user("reserved", messages="one_request")

    error, reply = send(fake_instagram, pk, "hello", "too soon")

    assert error is ClientBadRequestError
    assert "after your invite is accepted" in reply["payload"]["message"]
    assert fake_instagram.accept_requests("reserved") == 1
    assert send(fake_instagram, pk, "thank you") is None
    assert texts(fake_instagram) == ["hello", "thank you"]


def test_a_restricted_account_notices_nothing(fake_instagram: FakeInstagram) -> None:
    pk = fake_instagram.add_user("cautious")
    fake_instagram.relate("cautious", "restricts", "shop")

    assert send(fake_instagram, pk, "hello") is None
    assert [entry["pending"] for entry in fake_instagram.dms()] == [True]


@pytest.mark.parametrize(
    ("shape", "raises", "status"),
    [
        ("plain", UnknownError, 400),
        ("item_ack", ClientBadRequestError, 400),
        ("ok_status", ClientStatusFail, 200),
        ("item_ack_ok_status", ClientStatusFail, 200),
    ],
)
def test_the_same_words_come_in_every_shape(
    fake_instagram: FakeInstagram, shape: Any, raises: type[Exception], status: int
) -> None:
    pk = fake_instagram.add_user("choosy", messages="some")
    fake_instagram.shape_refusals(shape)

    error, reply = send(fake_instagram, pk, "hello")

    assert error is raises
    assert "Not everyone can message this account." in str(reply)
    assert fake_instagram.log("broadcast_text")[0]["status"] == status


def test_a_known_users_other_fields_stay_as_they_are(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("jenny.rosen", messages="some")

    async def scenario() -> Any:
        async with shop_client(fake_instagram) as client:
            return await client.user_info_by_username_v1("jenny.rosen")

    user = asyncio.run(scenario())
    assert (user.full_name, user.follower_count) == ("Jenny Rosen", 450)


def test_an_unknown_setting_is_refused_with_the_known_ones(fake_instagram: FakeInstagram) -> None:
    with pytest.raises(ValueError, match=r"messages 'friends': use one of everyone, followers"):
        fake_instagram.add_user("choosy", messages="friends")
