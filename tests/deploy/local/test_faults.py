"""The fake Instagram's scripted faults, as the unmodified client sees them."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from typing import Any

import aiograpi.exceptions
import pytest
from aiograpi.exceptions import (
    ClientJSONDecodeError,
    ClientUnknownError,
    ConnectProxyError,
    FeedbackRequired,
    PleaseWaitFewMinutes,
)
from curl_cffi import CurlOpt

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.records import CallRecord
from deploy.local.instagram.replies import ALL_REFUSALS
from deploy.local.instagram.state import SHOP_PASSWORD, SHOP_POST_PK
from deploy.local.wait import until
from tests.support.unmodified_client import client_for, shop_client

Call = Callable[[Any], Awaitable[Any]]

JENNY = 1000001
POST_ID = f"{SHOP_POST_PK}_1000000"

CALLS: dict[str, Call] = {
    "login": lambda client: client.login("shop", SHOP_PASSWORD),
    "broadcast_text": lambda client: client.direct_send("hello", [JENNY]),
    "comment": lambda client: client.media_comment(POST_ID, "hello"),
    "comments": lambda client: client.media_comments_v1_chunk(POST_ID),
    "usernameinfo": lambda client: client.user_info_by_username_v1("jenny.rosen"),
    "user_info": lambda client: client.user_info_v1(JENNY),
    "media_info": lambda client: client.media_info_v1(SHOP_POST_PK),
    "followers": lambda client: client.user_followers_v1_chunk(JENNY, 10),
    "thread": lambda client: client.direct_messages(340282366841710300949128000000000000001),
}


def use_fresh_connections(client: Any) -> None:
    """Keep libcurl from resending a POST when a reused connection is cut."""
    client.private._client._transport._curl_options[CurlOpt.FRESH_CONNECT] = 1


def wait_until_ended(fake_instagram: FakeInstagram, call: str) -> CallRecord:
    """The call's log entry, once it is complete."""

    def ended() -> CallRecord | None:
        entries = fake_instagram.log(call)
        return entries[-1] if entries and entries[-1]["ended"] is not None else None

    return until(ended, what=f"the end of {call}")


@pytest.mark.parametrize("name", sorted(ALL_REFUSALS))
def test_a_named_refusal_raises_the_exception_in_the_table(
    fake_instagram: FakeInstagram, name: str
) -> None:
    refusal = ALL_REFUSALS[name]
    expected = getattr(aiograpi.exceptions, refusal.raises, None) or getattr(
        builtins, refusal.raises
    )
    fake_instagram.fault(refusal.call, error=name)

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            if refusal.call != "login":
                await client.login("shop", SHOP_PASSWORD)
            with pytest.raises(expected) as caught:
                await CALLS[refusal.call](client)
            assert type(caught.value) is expected

    asyncio.run(scenario())

    assert fake_instagram.dms() == []
    assert fake_instagram.comments() == []


def test_a_fault_can_skip_calls_and_be_limited_by_count_and_account(
    fake_instagram: FakeInstagram,
) -> None:
    fake_instagram.fault("broadcast_*", error="please_wait", account="shop", skip=1, times=1)
    fake_instagram.fault("broadcast_text", error="spam", account="somebody.else")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            await client.direct_send("one", [JENNY])
            with pytest.raises(PleaseWaitFewMinutes):
                await client.direct_send("two", [JENNY])
            await client.direct_send("three", [JENNY])

    asyncio.run(scenario())

    assert [entry["text"] for entry in fake_instagram.dms()] == ["one", "three"]
    assert [entry["fault"] for entry in fake_instagram.log("broadcast_text")] == [None, 1, None]


def test_the_first_matching_fault_applies_and_paths_match_too(
    fake_instagram: FakeInstagram,
) -> None:
    fake_instagram.fault("/api/v1/direct_v2/threads/broadcast/*", error="spam", times=None)
    fake_instagram.fault("broadcast_text", error="please_wait")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            for _ in range(2):
                with pytest.raises(FeedbackRequired):
                    await client.direct_send("hello", [JENNY])
            fake_instagram.clear_faults()
            await client.direct_send("hello", [JENNY])

    asyncio.run(scenario())


def test_a_status_fault_has_its_body(fake_instagram: FakeInstagram) -> None:
    fake_instagram.fault("usernameinfo", status=418, body={"message": "teapot"})

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            with pytest.raises(ClientUnknownError):
                await client.user_info_by_username_v1("jenny.rosen")
            assert client.last_json == {"message": "teapot"}

    asyncio.run(scenario())

    assert fake_instagram.log("usernameinfo")[0]["status"] == 418


def test_drop_before_stores_nothing(fake_instagram: FakeInstagram) -> None:
    fake_instagram.fault("broadcast_text", "drop_before")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            use_fresh_connections(client)
            with pytest.raises(ConnectProxyError):
                await client.direct_send("hello", [JENNY])

    asyncio.run(scenario())

    assert fake_instagram.dms() == []
    assert fake_instagram.log("broadcast_text")[0]["outcome"] == "dropped_before"


def test_drop_after_stores_the_dm_but_fails_the_call(
    fake_instagram: FakeInstagram,
) -> None:
    fake_instagram.fault("broadcast_text", "drop_after")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            use_fresh_connections(client)
            with pytest.raises(ConnectProxyError):
                await client.direct_send("hello", [JENNY])

    asyncio.run(scenario())

    assert [entry["text"] for entry in fake_instagram.dms()] == ["hello"]
    assert fake_instagram.log("broadcast_text")[0]["outcome"] == "dropped_after"


def test_a_reused_connection_that_is_cut_makes_libcurl_send_twice(
    fake_instagram: FakeInstagram,
) -> None:
    fake_instagram.fault("broadcast_text", "drop_after")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            await client.direct_send("hello", [JENNY])

    asyncio.run(scenario())

    first, second = fake_instagram.dms()
    assert first["client_context"] == second["client_context"]


def test_a_delayed_reply_follows_a_stored_dm(fake_instagram: FakeInstagram) -> None:
    fake_instagram.fault("broadcast_text", delay_after_effect_seconds=0.3)

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            sending = asyncio.create_task(client.direct_send("hello", [JENNY]))
            while not await asyncio.to_thread(fake_instagram.dms):
                assert not sending.done()
            await sending

    asyncio.run(scenario())

    (call,) = fake_instagram.log("broadcast_text")
    assert call["ended"] is not None
    assert call["ended"] - call["begun"] >= 0.3


def test_a_dm_is_stored_after_its_sender_has_disconnected(fake_instagram: FakeInstagram) -> None:
    fake_instagram.fault("broadcast_text", delay_seconds=0.5)

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            sending = asyncio.create_task(client.direct_send("hello", [JENNY]))
            while not await asyncio.to_thread(fake_instagram.log, "broadcast_text"):
                assert not sending.done()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert fake_instagram.dms() == []

    asyncio.run(scenario())

    call = wait_until_ended(fake_instagram, "broadcast_text")
    assert call["outcome"] == "client_gone"
    assert call["gone"] is not None
    assert [entry["text"] for entry in fake_instagram.dms()] == ["hello"]


@pytest.mark.parametrize(
    ("effects", "raises"),
    [
        ({"empty_ok": True}, KeyError),
        ({"not_json": True}, ClientJSONDecodeError),
        ({"truncate": True}, ConnectProxyError),
        ({"status_after_effect": 502}, ClientUnknownError),
    ],
)
def test_a_malformed_reply_follows_a_stored_dm(
    fake_instagram: FakeInstagram, effects: dict[str, object], raises: type[Exception]
) -> None:
    fake_instagram.fault("broadcast_text", **effects)  # type: ignore[arg-type]

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            with pytest.raises(raises):
                await client.direct_send("hello", [JENNY])

    asyncio.run(scenario())

    assert [entry["text"] for entry in fake_instagram.dms()] == ["hello"]


def test_a_hanging_call_ends_when_its_client_disconnects(fake_instagram: FakeInstagram) -> None:
    fake_instagram.fault("broadcast_text", "hang")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            client.read_timeout = 0.1
            with pytest.raises(ConnectProxyError):
                await client.direct_send("hello", [JENNY])

    asyncio.run(scenario())

    assert wait_until_ended(fake_instagram, "broadcast_text")["outcome"] == "hung"
    assert fake_instagram.dms() == []


def test_overlapping_calls_on_one_account_are_reported(fake_instagram: FakeInstagram) -> None:
    fake_instagram.fault("usernameinfo", delay_seconds=0.2, times=2)

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client, client_for(fake_instagram) as other:
            other.set_settings(client.get_settings())
            await asyncio.gather(
                *(entry.user_info_by_username_v1("jenny.rosen") for entry in (client, other))
            )

    asyncio.run(scenario())

    ((first, second),) = fake_instagram.overlaps()
    assert {first["call"], second["call"]} == {"usernameinfo"}


@pytest.mark.parametrize(
    ("effects", "message"),
    [
        ({"error": "no_such_error"}, "unknown; use one of"),
        ({"explode": True}, "unknown; use one of"),
        ({"drop_after": 1}, "must be true"),
        ({"status": 42}, "200 to 599"),
        ({"delay_seconds": -1}, "seconds"),
        ({}, "give at least one"),
    ],
)
def test_an_invalid_fault_is_rejected(
    fake_instagram: FakeInstagram, effects: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fake_instagram.fault("comment", **effects)  # type: ignore[arg-type]
