"""Odd profiles and posts: a reply fails only what needs the part that it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import redis
from aiograpi import exceptions as ig

from actors.instagram.errors import classify
from actors.instagram.gateway import Gateway
from actors.instagram.pks import MissingPk
from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.odd_fields import POST_SHAPES, USER_SHAPES
from service.instagram.ids import media_pk
from service.lookups.schemas import PostView, UserView
from tests.support.gateway import GatewayHarness
from tests.support.odd_replies import (
    ABSENT,
    POSTS,
    PROFILES,
    USUAL_POST,
    USUAL_USER,
    changed,
)

NAME = "some.handle"


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


def serve_profile(harness: GatewayHarness, changes: Mapping[str, Any]) -> str:
    """Answer every request for a profile with an odd one; return its pk."""
    pk = harness.fake_instagram.add_user(NAME)
    usual = {key: value for key, value in USUAL_USER.items() if value is not ABSENT}
    user = changed({**usual, "pk": int(pk), "username": NAME}, changes)
    serve(harness, "usernameinfo", {"user": user, "status": "ok"})
    return pk


def serve(harness: GatewayHarness, call: str, body: dict[str, Any], status: int = 200) -> None:
    harness.fake_instagram.fault(call, times=None, status=status, body=body)


USUAL_VIEW = {
    "username": NAME,
    "full_name": "Some Handle",
    "biography": "Ceramics",
    "is_private": False,
    "is_verified": True,
    "follower_count": 2450,
    "following_count": 311,
    "media_count": 87,
    "profile_pic_url": "https://scontent.cdninstagram.com/large.jpg",
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_dm_and_a_lookup_need_no_more_of_a_profile_than_its_pk(
    harness: GatewayHarness, name: str
) -> None:
    odd = PROFILES[name]
    pk = serve_profile(harness, odd.changes)

    async def steps(gateway: Gateway) -> dict[str, Any]:
        recipient = await gateway.resolve(NAME)
        assert recipient.username == NAME
        await gateway.send_dm(recipient.pk, "Thank you!", "job_x:1")
        return await gateway.profile(NAME)

    view = harness.run(steps)
    UserView.model_validate(view, strict=True)
    assert view == {"pk": pk, **USUAL_VIEW, **odd.view}
    assert [dm["recipient_pks"] for dm in harness.fake_instagram.dms()] == [[pk]]


@pytest.mark.parametrize("name", POSTS)
def test_a_post_is_shown_as_far_as_it_is_there(harness: GatewayHarness, name: str) -> None:
    odd = POSTS[name]
    serve(harness, "media_info", {"items": [changed(USUAL_POST, odd.changes)], "status": "ok"})

    async def steps(gateway: Gateway) -> dict[str, Any]:
        return await gateway.post(media_pk(USUAL_POST["code"]))

    view = harness.run(steps)
    PostView.model_validate(view, strict=True)
    usual = {
        "pk": "3700000000000000001",
        "id": "3700000000000000001_40000000314",
        "code": "DNZCmWE8gAB",
        "kind": "photo",
        "taken_at": "2026-11-20T10:26:48Z",
        "caption": "New glazes",
        "like_count": 120,
        "comment_count": 7,
        "view_count": None,
        "owner": {"pk": "40000000314", "username": NAME},
        "thumbnail_url": "https://scontent.cdninstagram.com/p.jpg",
    }
    assert view == {**usual, **odd.view}


@pytest.mark.parametrize("shape", sorted(set(USER_SHAPES) - {"without_id"}))
def test_every_shape_of_the_fake_instagrams_profiles_gets_its_dm(
    harness: GatewayHarness, shape: str
) -> None:
    pk = harness.fake_instagram.add_user(NAME, shape=shape)

    async def steps(gateway: Gateway) -> None:
        recipient = await gateway.resolve(NAME)
        await gateway.send_dm(recipient.pk, "Thank you!", "job_x:1")
        UserView.model_validate(await gateway.profile(NAME), strict=True)

    harness.run(steps)
    assert [dm["recipient_pks"] for dm in harness.fake_instagram.dms()] == [[pk]]


@pytest.mark.parametrize("shape", POST_SHAPES)
def test_every_shape_of_the_fake_instagrams_posts_is_shown(
    harness: GatewayHarness, shape: str
) -> None:
    code = harness.fake_instagram.add_media("jenny.rosen", 3700000000000000077, shape=shape)

    async def steps(gateway: Gateway) -> dict[str, Any]:
        return await gateway.post(media_pk(code))

    view = harness.run(steps)
    PostView.model_validate(view, strict=True)
    assert (view["pk"], view["code"]) == ("3700000000000000077", code)


# What is needed, and is not there

NO_PROFILE: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no pk in any form": ({"user": {"username": NAME}}, MissingPk, "reply_without_pk"),
    "a pk of 0": ({"user": {"pk": 0, "username": NAME}}, MissingPk, "reply_without_pk"),
    "a pk that is no number": ({"user": {"pk": {"id": 1}}}, MissingPk, "reply_without_pk"),
    "a pk that is true": ({"user": {"pk": True}}, MissingPk, "reply_without_pk"),
    "a list for a user": ({"user": [{"pk": 1}]}, LookupError, "reply_unexpected"),
    "text for a user": ({"user": NAME}, LookupError, "reply_unexpected"),
    "no user": ({}, ig.UserNotFound, "user_not_found"),
    "user null": ({"user": None}, ig.UserNotFound, "user_not_found"),
}


@pytest.mark.parametrize("name", NO_PROFILE)
def test_a_profile_without_a_pk_is_a_clear_error(harness: GatewayHarness, name: str) -> None:
    body, kind, code = NO_PROFILE[name]
    serve(harness, "usernameinfo", {**body, "status": "ok"})

    async def steps(gateway: Gateway) -> None:
        for call in (gateway.resolve, gateway.profile):
            with pytest.raises(kind) as raised:
                await call(NAME)
            assert classify(raised.value, writing=False).code == code

    harness.run(steps)


@pytest.mark.parametrize(
    ("items", "kind"),
    [([{"user": {"pk": 1}}], MissingPk), (["3700"], LookupError), ({"pk": 1}, LookupError)],
)
def test_a_post_without_a_pk_is_a_clear_error(
    harness: GatewayHarness, items: Any, kind: type[Exception]
) -> None:
    serve(harness, "media_info", {"items": items, "status": "ok"})

    async def steps(gateway: Gateway) -> None:
        with pytest.raises(kind):
            await gateway.post("3700000000000000001")

    harness.run(steps)


# Other names, other words


def test_a_renamed_user_is_written_to_by_the_old_name(harness: GatewayHarness) -> None:
    pk = serve_profile(harness, {"username": "New.Handle"})

    async def steps(gateway: Gateway) -> None:
        recipient = await gateway.resolve(NAME)
        assert (recipient.pk, recipient.username) == (pk, "New.Handle")
        assert (await gateway.profile(NAME))["username"] == "New.Handle"

    harness.run(steps)


AGE_WORDS = [
    "This account is restricted by age.",
    "You must be 18 years old or over to see this profile",
    "Age-restricted profile",
    "This profile is only shown to people who are 21+",
]
OTHER_WORDS = [
    "Please wait a few minutes before you try again.",
    "Your account is restricted. Please wait a few minutes before you try again.",
    "We restricted certain activity to protect our community.",
    "Your account has been temporarily restricted from this action.",
    "Try again later",
    "Sorry, this page isn't available.",
]


def refusal_of(harness: GatewayHarness, call: str, body: dict[str, Any]) -> BaseException:
    """The error that a lookup ends with."""
    serve(harness, call, {**body, "status": "fail"})

    async def steps(gateway: Gateway) -> BaseException:
        with pytest.raises(ig.ClientError) as raised:
            await (gateway.profile(NAME) if call == "usernameinfo" else gateway.post("3700"))
        error: BaseException = raised.value
        return error

    refusal: BaseException = harness.run(steps)
    return refusal


@pytest.mark.parametrize("call", ["usernameinfo", "media_info"])
@pytest.mark.parametrize("words", AGE_WORDS)
def test_the_words_of_an_age_restriction_are_one(
    harness: GatewayHarness, call: str, words: str
) -> None:
    refusal = refusal_of(harness, call, {"message": words})
    assert classify(refusal, writing=False).code == "age_restricted"


@pytest.mark.parametrize("words", OTHER_WORDS)
def test_other_refusals_are_not_taken_for_an_age_restriction(
    harness: GatewayHarness, words: str
) -> None:
    refusal = refusal_of(harness, "usernameinfo", {"message": words})
    assert not isinstance(refusal, ig.IsRegulatedC18Error)
    assert classify(refusal, writing=False).code != "age_restricted"
