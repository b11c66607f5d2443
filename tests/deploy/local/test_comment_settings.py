"""Who may comment at the fake Instagram, and who sees the comment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiograpi.exceptions import FeedbackRequired

from deploy.local.instagram.client import FakeInstagram
from tests.support.unmodified_client import client_for

PK = 3_700_000_000_000_000_077


async def comment_and_list(fake_instagram: FakeInstagram, text: str) -> list[str]:
    """Comment as the shop; returns the comments that the shop then sees."""
    async with client_for(fake_instagram) as client:
        await client.login("shop", "shop-password")
        await client.media_comment(f"{PK}_1", text)
        return await visible(client)


async def visible(client: Any) -> list[str]:
    rows, *_ = await client.media_comments_v1_chunk(f"{PK}_1")
    return [row.text for row in rows]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("off", "has turned off comments"),
        ("limited", "Comments on this post have been limited"),
        ("followers", "Comments on this post have been limited"),
        ("deleted", "has been deleted"),
    ],
)
def test_a_setting_refuses_a_comment(
    fake_instagram: FakeInstagram, setting: str, words: str
) -> None:
    fake_instagram.add_media("jenny.rosen", PK, comments=setting)

    with pytest.raises(FeedbackRequired, match=words):
        asyncio.run(comment_and_list(fake_instagram, "hello"))

    assert fake_instagram.comments() == []


def test_whom_the_owner_follows_may_comment(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_media("jenny.rosen", PK, comments="followers")
    fake_instagram.relate("jenny.rosen", "follows", "shop")

    assert asyncio.run(comment_and_list(fake_instagram, "hello")) == ["hello"]


@pytest.mark.parametrize("setting", ["hidden", "held_for_review"])
def test_a_comment_that_is_not_shown_to_others_is_shown_to_its_author(
    fake_instagram: FakeInstagram, setting: str
) -> None:
    fake_instagram.add_media("jenny.rosen", PK, comments=setting)
    fake_instagram.add_account("other", "other-password")

    async def scenario() -> None:
        assert await comment_and_list(fake_instagram, "hello") == ["hello"]
        async with client_for(fake_instagram) as client:
            await client.login("other", "other-password")
            assert await visible(client) == []

    asyncio.run(scenario())
    assert [entry["text"] for entry in fake_instagram.comments()] == ["hello"]


def test_a_restricted_accounts_comment_is_shown_to_itself(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_media("jenny.rosen", PK)
    fake_instagram.relate("jenny.rosen", "restricts", "shop")

    assert asyncio.run(comment_and_list(fake_instagram, "hello")) == ["hello"]
    assert [entry["audience"] for entry in fake_instagram.comments()] == ["author"]
