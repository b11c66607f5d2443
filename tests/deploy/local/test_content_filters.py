"""Content that the fake Instagram refuses, and how it stores what it takes."""

from __future__ import annotations

import asyncio

import pytest
from aiograpi.exceptions import ClientStatusFail, FeedbackRequired

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.state import SHOP_POST_PK
from deploy.local.instagram.stored_text import TextStyle, stored_text
from tests.support.unmodified_client import shop_client

JENNY = 1000001
POST_ID = f"{SHOP_POST_PK}_1000000"


def test_only_texts_with_the_refused_words_are_refused(fake_instagram: FakeInstagram) -> None:
    fake_instagram.filter_content("win a prize", kind="dm")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            with pytest.raises(FeedbackRequired, match="content that has been blocked"):
                await client.direct_send("You WIN A PRIZE", [JENNY])
            await client.direct_send("Thank you", [JENNY])
            await client.media_comment(POST_ID, "win a prize")

    asyncio.run(scenario())

    assert [entry["text"] for entry in fake_instagram.dms()] == ["Thank you"]


def test_a_link_is_refused_in_a_success_with_the_words(fake_instagram: FakeInstagram) -> None:
    fake_instagram.filter_content("bad.example", "link_blocked_plain")
    fake_instagram.shape_refusals("ok_status")

    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            with pytest.raises(ClientStatusFail, match="this link goes against"):
                await client.direct_send("See https://bad.example/x", [JENNY])

    asyncio.run(scenario())

    assert fake_instagram.dms() == []
    assert fake_instagram.log("broadcast_link")[0]["status"] == 200


@pytest.mark.parametrize(
    ("style", "stored"),
    [
        ("exact", " Merci\u0301  \n\n\n@Jenny.Rosen  https://www.shop.example/orders/2026/11/29 "),
        ("folded", "Merc\u00ed @Jenny.Rosen https://www.shop.example/orders/2026/11/29"),
        ("shortened", "Merc\u00ed @jenny.rosen shop.example/orders/2026/11/29"),
    ],
)
def test_a_text_is_stored_in_its_style(style: TextStyle, stored: str) -> None:
    sent = " Merci\u0301  \n\n\n@Jenny.Rosen  https://www.shop.example/orders/2026/11/29 "

    assert stored_text(sent, style) == stored


def test_a_single_line_break_stays_and_a_long_link_is_cut() -> None:
    assert stored_text("Apples are \r\n good", "folded") == "Apples are\ngood"
    assert stored_text("https://a.example/" + "b" * 40, "shortened").endswith("bbb…")


def test_what_is_shown_is_what_is_stored(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            comment = await client.media_comment(POST_ID, "Thank   you\n\n\nall")
            assert comment.text == "Thank you all"
            fake_instagram.store_text("exact", account="shop")
            await client.direct_send("Thank   you", [JENNY])

    asyncio.run(scenario())

    (comment,), (dm,) = fake_instagram.comments(), fake_instagram.dms()
    assert (comment["text"], comment["sent_text"]) == ("Thank you all", "Thank   you\n\n\nall")
    assert dm["text"] == dm["sent_text"] == "Thank   you"
