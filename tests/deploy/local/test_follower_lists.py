"""The fake Instagram's lists of followers, and its odd profiles, posts and rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiograpi.exceptions import PrivateAccount

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.odd_fields import POST_SHAPES, USER_SHAPES
from tests.support.unmodified_client import shop_client


def pages(fake_instagram: FakeInstagram, username: str, most: int = 5) -> list[dict[str, Any]]:
    """The raw pages of 100 that a client gets, until there is no cursor."""
    pk = fake_instagram.add_user(username)

    async def scenario() -> list[dict[str, Any]]:
        replies: list[dict[str, Any]] = []
        async with shop_client(fake_instagram) as client:
            cursor: str | None = "0"
            while cursor is not None and len(replies) < most:
                params = {"count": "100", "max_id": cursor}
                reply = await client.private_request(f"friendships/{pk}/followers/", params=params)
                replies.append(reply)
                cursor = reply.get("next_max_id")
        return replies

    return asyncio.run(scenario())


def names(page: dict[str, Any]) -> list[str]:
    return [row["username"] for row in page["users"]]


def test_a_limited_list_has_few_rows_a_flag_and_no_cursor(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("big", followers=450, lists="limited")

    (page,) = pages(fake_instagram, "big")

    assert page["should_limit_list_of_followers"] is True
    assert page["big_list"] is True
    assert len(page["users"]) == 50


def test_a_list_without_a_cursor_ends_after_its_first_page(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("big", followers=450, lists="without_cursor")

    assert [len(page["users"]) for page in pages(fake_instagram, "big")] == [100]


def test_a_repeated_page_comes_again_with_the_same_cursor(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("big", followers=450, lists="repeated")

    first, second, *_ = pages(fake_instagram, "big")

    assert names(first) == names(second)
    assert first["next_max_id"] == second["next_max_id"] == "100"


def test_a_circling_list_begins_again_after_its_end(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("big", followers=250, lists="circling")

    first, *_, fourth = pages(fake_instagram, "big", most=4)

    assert names(fourth) == names(first)


def test_an_empty_page_may_have_a_cursor(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("big", followers=450, lists="empty_pages")

    sizes = [len(page["users"]) for page in pages(fake_instagram, "big")]

    assert sizes == [100, 0, 100, 0, 50]


def test_a_hidden_list_is_empty(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("big", followers=450, lists="hidden")

    assert [page["users"] for page in pages(fake_instagram, "big")] == [[]]


def test_a_private_list_is_shown_to_whom_it_was_opened(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("private.person", followers=80)
    with pytest.raises(PrivateAccount):
        pages(fake_instagram, "private.person")
    fake_instagram.relate("shop", "follows", "private.person")

    (page,) = pages(fake_instagram, "private.person")

    assert len(page["users"]) == 80


def test_odd_rows_lack_fields_or_have_others(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("big", followers=80, lists="odd_rows")

    (page,) = pages(fake_instagram, "big")

    rows = page["users"]
    assert len(rows) == 80
    assert any("pk" not in row and "id" in row for row in rows)
    assert any(row.get("full_name", "") is None for row in rows)
    assert any("strong_id__" in row for row in rows)


@pytest.mark.parametrize("shape", sorted(set(USER_SHAPES) - {"usual", "without_id"}))
def test_an_odd_profile_still_says_who_it_is(fake_instagram: FakeInstagram, shape: str) -> None:
    pk = fake_instagram.add_user("odd.one", shape=shape)

    async def scenario() -> Any:
        async with shop_client(fake_instagram) as client:
            return await client.private_request("users/odd.one/usernameinfo/")

    user = asyncio.run(scenario())["user"]
    assert (str(user.get("pk") or user["id"]), user["username"]) == (pk, "odd.one")


@pytest.mark.parametrize("shape", sorted(POST_SHAPES))
def test_an_odd_post_still_has_its_id(fake_instagram: FakeInstagram, shape: str) -> None:
    fake_instagram.add_media("shop", 77, shape=shape)

    async def scenario() -> Any:
        async with shop_client(fake_instagram) as client:
            return await client.private_request("media/77/info/")

    (item,) = asyncio.run(scenario())["items"]
    assert item["id"] == "77_1000000"
    assert ("user" in item) == (shape != "without_user")
