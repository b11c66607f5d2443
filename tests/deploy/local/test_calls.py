"""Reading from and writing to the fake Instagram with the unmodified client."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from aiograpi.exceptions import (
    CommentsDisabled,
    DirectMessageRequestsDisabled,
    DirectThreadNotFound,
    InvalidTargetUser,
    MediaNotFound,
    MediaUnavailable,
    PrivateAccount,
    UserNotFound,
)
from PIL import Image

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.routes import UNKNOWN_CALL
from deploy.local.instagram.state import SHOP_POST_PK
from tests.support.unmodified_client import shop_client


def test_a_profile_is_read_by_name_and_by_pk(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            user = await client.user_info_by_username_v1("jenny.rosen")
            assert user.follower_count == 450
            assert (await client.user_info_v1(user.pk)).username == "jenny.rosen"

    asyncio.run(scenario())


def test_a_missing_user_is_not_found(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            with pytest.raises(UserNotFound):
                await client.user_info_by_username_v1("nobody.here")
            with pytest.raises(UserNotFound):
                await client.user_info_v1("999")

    asyncio.run(scenario())


def test_with_open_world_every_username_exists_except_missing_ones(tmp_path: Path) -> None:
    async def scenario(fake_instagram: FakeInstagram) -> None:
        async with shop_client(fake_instagram) as client:
            first = await client.user_info_by_username_v1("anybody.at.all")
            again = await client.user_info_v1(first.pk)
            assert again.username == "anybody.at.all"
            assert (await client.user_info_v1("314159")).pk == "314159"
            with pytest.raises(UserNotFound):
                await client.user_info_by_username_v1("missing.person")

    with FakeInstagram(tmp_path, open_world=True) as fake_instagram:
        asyncio.run(scenario(fake_instagram))


def test_a_post_is_read_by_the_pk_in_its_shortcode(fake_instagram: FakeInstagram) -> None:
    code = fake_instagram.add_media("jenny.rosen", 3_600_000_000_000_000_123, caption="Hello")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            post = await client.media_info_v1(client.media_pk_from_code(code))
            assert (post.code, post.caption_text) == (code, "Hello")
            assert post.user.username == "jenny.rosen"
            with pytest.raises(MediaNotFound):
                await client.media_info_v1("1")

    asyncio.run(scenario())


def test_followers_come_in_pages(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            pages: list[list[Any]] = []
            cursor = ""
            while not pages or cursor:
                page, cursor = await client.user_followers_v1_chunk(jenny.pk, 200, cursor)
                pages.append(page)
            assert [len(page) for page in pages] == [200, 200, 50]
            assert len({user.pk for page in pages for user in page}) == 450
            following, end = await client.user_following_v1_chunk(jenny.pk, 200)
            assert (len(following), end) == (30, None)

    asyncio.run(scenario())


def test_a_million_followers_can_be_read_from_any_cursor(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            popular = await client.user_info_by_username_v1("popular")
            page, cursor = await client.user_followers_v1_chunk(popular.pk, 200, "999900")
            assert (len(page), cursor) == (100, None)
            last = await client.user_info_by_username_v1(page[-1].username)
            assert last.pk == page[-1].pk

    asyncio.run(scenario())


def test_a_private_accounts_followers_cannot_be_read(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            user = await client.user_info_by_username_v1("private.person")
            with pytest.raises(PrivateAccount):
                await client.user_followers_v1_chunk(user.pk, 200)

    asyncio.run(scenario())


def test_a_dm_is_stored_with_its_token_and_found_in_its_thread(
    fake_instagram: FakeInstagram,
) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            sent = await client.direct_send("Thank you, Jenny! 🌞", [int(jenny.pk)])
            (stored,) = fake_instagram.dms()
            assert stored["item_id"] == sent.id
            assert stored["thread_id"] == str(sent.thread_id)
            assert stored["client_context"] == sent.client_context
            assert (stored["sender"], stored["recipients"]) == ("shop", ["jenny.rosen"])
            assert stored["text"] == "Thank you, Jenny! 🌞"
            (shown,) = await client.direct_messages(sent.thread_id)
            assert (shown.text, shown.client_context) == (stored["text"], sent.client_context)
            assert shown.is_sent_by_viewer

    asyncio.run(scenario())


def test_two_users_share_one_thread(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            first = await client.direct_send("one", [int(jenny.pk)])
            second = await client.direct_send("see https://example.com/2", [int(jenny.pk)])
            third = await client.direct_answer(first.thread_id, "three")
            assert first.thread_id == second.thread_id == third.thread_id
            await client.direct_thread_by_participants([int(jenny.pk)])
            assert client.last_json["thread"]["thread_id"] == str(first.thread_id)
            (thread,) = await client.direct_threads()
            assert [message.client_context for message in thread.messages] == [
                third.client_context,
                second.client_context,
                first.client_context,
            ]

    asyncio.run(scenario())

    assert [entry["kind"] for entry in fake_instagram.dms()] == ["text", "link", "text"]


def test_a_long_thread_is_read_page_by_page(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            for number in range(45):
                sent = await client.direct_send(f"number {number}", [int(jenny.pk)])
            shown = await client.direct_messages(sent.thread_id, amount=0)
            assert [entry.text for entry in shown] == [f"number {n}" for n in reversed(range(45))]

    asyncio.run(scenario())


def test_there_is_no_thread_before_the_first_message(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            found = await client.direct_thread_by_participants([int(jenny.pk)])
            assert "thread" not in found
            with pytest.raises(DirectThreadNotFound):
                await client.direct_messages(340282366841710300949128000000000000099)

    asyncio.run(scenario())


def test_a_photo_goes_into_an_existing_thread(
    fake_instagram: FakeInstagram, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (320, 320), "orange").save(photo)

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            with pytest.raises(DirectThreadNotFound):
                await client.direct_send_photo(photo, [int(jenny.pk)])
            await client.direct_send("a photo follows", [int(jenny.pk)])
            sent = await client.direct_send_photo(photo, [int(jenny.pk)])
            stored = fake_instagram.dms()[-1]
            assert (stored["kind"], stored["item_id"]) == ("photo", sent.id)
            assert stored["attachment_id"]
            assert len(await client.direct_messages(sent.thread_id)) == 2

    asyncio.run(scenario())

    (upload,) = fake_instagram.log("rupload_photo")
    assert (upload["host"], upload["account"]) == ("rupload.facebook.com", "shop")


def test_a_user_who_accepts_no_requests_gets_no_dm(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            user = await client.user_info_by_username_v1("no.requests")
            with pytest.raises(DirectMessageRequestsDisabled):
                await client.direct_send("hello", [int(user.pk)])
            with pytest.raises(InvalidTargetUser):
                await client.direct_send("hello", [999])

    asyncio.run(scenario())

    assert fake_instagram.dms() == []


def test_a_comment_is_stored_with_its_token_and_read_back(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            post = await client.media_info_v1(SHOP_POST_PK)
            made = await client.media_comment(post.id, "Lovely")
            (stored,) = fake_instagram.comments()
            assert (stored["pk"], stored["text"]) == (made.pk, "Lovely")
            assert (stored["username"], stored["media_id"]) == ("shop", post.id)
            assert len(stored["idempotence_token"]) == 36
            shown, _, _ = await client.media_comments_v1_chunk(post.id)
            assert [(entry.pk, entry.user.username) for entry in shown] == [(made.pk, "shop")]

    asyncio.run(scenario())


def test_many_comments_come_in_pages(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            post = await client.media_info_v1(SHOP_POST_PK)
            for number in range(25):
                await client.media_comment(post.id, f"number {number}")
            first, cursor, _ = await client.media_comments_v1_chunk(post.id)
            second, end, _ = await client.media_comments_v1_chunk(post.id, min_id=cursor)
            texts = [entry.text for entry in first + second]
            assert texts == [f"number {number}" for number in reversed(range(25))]
            assert end == ""

    asyncio.run(scenario())


def test_a_post_can_have_comments_disabled(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            post = await client.media_info_v1(SHOP_POST_PK + 1)
            with pytest.raises(CommentsDisabled):
                await client.media_comment(post.id, "hello")
            with pytest.raises(MediaUnavailable):
                await client.media_comment("1_2", "hello")

    asyncio.run(scenario())

    assert fake_instagram.comments() == []


def test_with_dedupe_a_repeated_token_is_stored_once(tmp_path: Path) -> None:
    async def scenario(fake_instagram: FakeInstagram) -> None:
        async with shop_client(fake_instagram) as client:
            client.generate_mutation_token = lambda: "6800011111111111112"
            client.generate_uuid = lambda: "00000000-0000-4000-8000-000000000001"
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            sent = [await client.direct_send("once", [int(jenny.pk)]) for _ in range(2)]
            assert sent[0].id == sent[1].id
            post = await client.media_info_v1(SHOP_POST_PK)
            made = [await client.media_comment(post.id, "once") for _ in range(2)]
            assert made[0].pk == made[1].pk

    with FakeInstagram(tmp_path, dedupe=True) as fake_instagram:
        asyncio.run(scenario(fake_instagram))
        assert (len(fake_instagram.dms()), len(fake_instagram.comments())) == (1, 1)


def test_the_fake_instagram_knows_every_call_of_the_client(
    fake_instagram: FakeInstagram,
) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            await client.direct_send("hello", [int(jenny.pk)])
            await client.logout()

    asyncio.run(scenario())

    assert fake_instagram.log(UNKNOWN_CALL) == []
    assert fake_instagram.overlaps() == []


def test_a_shifted_clock_applies_to_all_times_until_the_reset(
    fake_instagram: FakeInstagram,
) -> None:
    async def scenario(offset: float) -> None:
        async with shop_client(fake_instagram) as client:
            await client.media_comment(SHOP_POST_PK, "Lovely!")
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            sent = await client.direct_send("Hello", [int(jenny.pk)])
            page = await client.private_request(f"media/{SHOP_POST_PK}/comments/")
            thread = await client.private_request(f"direct_v2/threads/{sent.thread_id}/")
            (date,) = client.last_response.headers.get_list("date")
        told = [
            page["comments"][0]["created_at_utc"],
            thread["thread"]["items"][0]["timestamp"] / 1_000_000,
            parsedate_to_datetime(date).timestamp(),
        ]
        assert told == pytest.approx([time.time() + offset] * 3, abs=5)

    for offset in (-300, 300):
        fake_instagram.shift_clock(offset)
        asyncio.run(scenario(offset))
    fake_instagram.reset()
    asyncio.run(scenario(0))
