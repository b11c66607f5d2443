"""Pages of followers: one request each; a malformed page is a classified error."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from aiograpi import exceptions as ig

from actors.instagram.errors import ClassifiedError, classify
from actors.instagram.follower_pages import MAX_ROWS, REQUESTED_ROWS, FollowersPage
from actors.instagram.gateway import Gateway
from deploy.local.instagram.client import FakeInstagram
from tests.support.follower_exports import follower_pks, page
from tests.support.gateway import GatewayHarness


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


def read(
    harness: GatewayHarness, pk: str, kind: str = "followers", cursor: str = ""
) -> tuple[FollowersPage, int]:
    """A page, and how many reads were counted for it."""

    async def steps(gateway: Gateway) -> tuple[FollowersPage, int]:
        await gateway.ensure_login()
        gateway.take_reads()
        found = await gateway.follower_page(pk, kind, cursor)
        return found, gateway.take_reads()

    visited: tuple[FollowersPage, int] = harness.run(steps)
    return visited


def requested_paths(harness: GatewayHarness, kind: str = "followers") -> list[str]:
    return [entry["path"] for entry in harness.fake_instagram.log(call=kind)]


@pytest.mark.parametrize("kind", ["followers", "following"])
def test_a_page_is_one_request_and_returns_the_next_cursor(
    harness: GatewayHarness, kind: str
) -> None:
    pk = harness.fake_instagram.add_user("star", followers=450, following=450)
    first, reads = read(harness, pk, kind)
    assert ([row["pk"] for row in first.rows], first.cursor, reads) == (
        follower_pks(0, 200),
        "200",
        1,
    )
    last, _ = read(harness, pk, kind, "400")
    assert ([row["pk"] for row in last.rows], last.cursor) == (follower_pks(400, 450), "")
    [path, more] = requested_paths(harness, kind)
    assert f"count={REQUESTED_ROWS}" in path
    assert ("max_id" in path, "max_id=400" in more) == (False, True)


def test_a_row_has_only_the_exported_fields(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("star", followers=1)
    found, _ = read(harness, pk)
    assert found.rows == [
        {
            "pk": "70000000000",
            "username": "follower.0000000",
            "full_name": "Follower 0",
            "is_private": True,
            "is_verified": True,
        }
    ]


MALFORMED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "gone": ({"error": "user_not_found"}, ig.UserNotFound, "user_not_found"),
    "no such path": ({"error": "not_found"}, ig.UserNotFound, "user_not_found"),
    "private": ({"error": "private_account"}, ig.PrivateAccount, "private_account"),
    "nothing but a 404": (
        {"error": "masked_challenge"},
        ClassifiedError,
        "not_found_unclear",
    ),
    "no users": ({"status": 200, "body": {"status": "ok"}}, LookupError, "reply_unexpected"),
    "users of null": (
        {"status": 200, "body": {"status": "ok", "users": None}},
        LookupError,
        "reply_unexpected",
    ),
    "users as an object": (
        {"status": 200, "body": {"status": "ok", "users": {"1": {"pk": 1}}}},
        LookupError,
        "reply_unexpected",
    ),
    "far too many": (
        {"status": 200, "body": page(range(MAX_ROWS + 1), None)},
        LookupError,
        "reply_unexpected",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_page_is_a_classified_error(harness: GatewayHarness, name: str) -> None:
    effect, kind, code = MALFORMED[name]
    pk = harness.fake_instagram.add_user("star", followers=450)
    harness.fake_instagram.fault("followers", **effect)
    with pytest.raises(kind) as raised:
        read(harness, pk)
    assert classify(raised.value, writing=False).code == code
    assert len(requested_paths(harness)) == 1


#: Seen in instagrapi issue 1523 (`pk_id`), aiograpi types.py (`strong_id__`), and HikerAPI's
#: /g2/user/followers (null fields).
ODD_USERS: list[Any] = [
    {"pk": "1"},
    {"id": "2", "username": None, "full_name": None, "is_private": None},
    {"pk_id": 3, "full_name": 1984, "username": 7},
    {"strong_id__": "4", "profile_pic_url": ["no url"], "is_verified": 1},
]
NO_USERS: list[Any] = [{"username": "x"}, {"pk": None}, {"pk": 0}, None, "text", 7, []]


def test_users_without_a_pk_are_dropped_and_counted(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("star", followers=450)
    body = page([1], "next", [*ODD_USERS, *NO_USERS])
    harness.fake_instagram.fault("followers", status=200, body=body)
    found, _ = read(harness, pk)
    assert [row["pk"] for row in found.rows] == [*follower_pks(1, 2), "1", "2", "3", "4"]
    assert (found.dropped, found.cursor) == (len(NO_USERS), "next")
    assert found.rows[3]["username"] == "7"


@pytest.mark.parametrize(
    ("sent", "cursor"),
    [
        (200, "200"),
        ("QVFE", "QVFE"),
        (0, ""),
        ("", ""),
        (None, ""),
        ({}, ""),
        ([1], ""),
        (True, ""),
    ],
)
def test_a_cursor_is_text_whatever_is_sent(harness: GatewayHarness, sent: Any, cursor: str) -> None:
    pk = harness.fake_instagram.add_user("star", followers=450)
    body = {**page([1], None), "next_max_id": sent}
    harness.fake_instagram.fault("followers", status=200, body=body)
    assert read(harness, pk)[0].cursor == cursor


#: As instagrapi issue 2811 measured it: 50 users, the flag, and no cursor.
@pytest.mark.parametrize(
    ("flags", "limited"),
    [
        ({"should_limit_list_of_followers": True, "has_more": False}, True),
        ({"should_limit_list_of_followers": False, "has_more": False, "big_list": True}, False),
        ({"has_more": True}, True),
        ({"has_more": True, "next_max_id": "next"}, False),
        ({"should_limit_list_of_followers": None}, False),
    ],
)
def test_a_page_says_whether_the_list_is_limited(
    harness: GatewayHarness, flags: dict[str, Any], limited: bool
) -> None:
    pk = harness.fake_instagram.add_user("star", followers=450)
    body = {**page(range(50), None), **flags}
    harness.fake_instagram.fault("followers", status=200, body=body)
    assert read(harness, pk)[0].limited is limited


def test_after_a_server_error_the_first_page_is_not_requested(
    harness: GatewayHarness,
) -> None:
    pk = harness.fake_instagram.add_user("star", followers=450)
    harness.fake_instagram.fault("followers", error="server_error")
    with pytest.raises(ig.ClientUnknownError):
        read(harness, pk, cursor="200")
    assert len(requested_paths(harness)) == 1
