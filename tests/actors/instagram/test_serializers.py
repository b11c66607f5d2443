"""The fields returned from Instagram's replies, whatever these contain or lack."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from aiograpi.extractors import extract_media_v1, extract_user_v1

from actors.instagram.pks import MissingPk
from actors.instagram.serializers import post_view, row_view, user_view
from service.lookups.schemas import PostView, UserView

PICTURE = "https://scontent.cdninstagram.com/v/t51/{}.jpg"

USER: dict[str, Any] = {
    "pk": 40000000314,
    "username": "some.handle",
    "full_name": "Some Hándle",
    "biography": "Ceramics.\nBerlin.",
    "is_private": False,
    "is_verified": True,
    "is_business": False,
    "follower_count": 2450,
    "following_count": 311,
    "media_count": 87,
    "profile_pic_url": PICTURE.format("small"),
    "hd_profile_pic_versions": [
        {"url": PICTURE.format("320"), "width": 320, "height": 320},
        {"url": PICTURE.format("640"), "width": 640, "height": 640},
    ],
    "bio_links": [{"url": "https://example.com"}],
    "a_field_of_next_year": {"with": ["anything"]},
}
SIZES = [
    {"url": PICTURE.format("150"), "width": 150, "height": 150},
    {"url": PICTURE.format("1080"), "width": 1080, "height": 1080},
]
POST: dict[str, Any] = {
    "pk": 3700000000000000001,
    "id": "3700000000000000001_40000000314",
    "code": "DNZCmWE8gAB",
    "taken_at": 1795170408,
    "media_type": 1,
    "product_type": "feed",
    "user": {"pk": 40000000314, "username": "some.handle", "full_name": "Some Hándle"},
    "caption": {"text": "New glazes"},
    "image_versions2": {"candidates": SIZES},
    "like_count": 120,
    "comment_count": 7,
}
ALBUM: dict[str, Any] = {
    **{key: value for key, value in POST.items() if key != "image_versions2"},
    "media_type": 8,
    "product_type": "carousel_container",
    "carousel_media": [
        {"pk": "1", "media_type": 2, "image_versions2": {"candidates": SIZES}},
        {"pk": "2", "media_type": 1, "image_versions2": {"candidates": []}},
    ],
}
REEL: dict[str, Any] = {
    **POST,
    "media_type": 2,
    "product_type": "clips",
    "play_count": 3410,
    "view_count": None,
    "video_versions": [{"url": PICTURE.format("v"), "width": 720, "height": 1280}],
}


def test_a_profile_has_the_documented_fields() -> None:
    assert user_view(USER) == {
        "pk": "40000000314",
        "username": "some.handle",
        "full_name": "Some Hándle",
        "biography": "Ceramics.\nBerlin.",
        "is_private": False,
        "is_verified": True,
        "follower_count": 2450,
        "following_count": 311,
        "media_count": 87,
        "profile_pic_url": PICTURE.format("640"),
    }


def test_a_post_has_the_documented_fields() -> None:
    assert post_view(POST) == {
        "pk": "3700000000000000001",
        "id": "3700000000000000001_40000000314",
        "code": "DNZCmWE8gAB",
        "kind": "photo",
        "taken_at": "2026-11-20T10:26:48Z",
        "caption": "New glazes",
        "like_count": 120,
        "comment_count": 7,
        "view_count": None,
        "owner": {"pk": "40000000314", "username": "some.handle"},
        "thumbnail_url": PICTURE.format("1080"),
    }


def test_the_client_library_reads_the_same_values() -> None:
    user, view = extract_user_v1(deepcopy(USER)), user_view(USER)
    for field in set(view) - {"profile_pic_url"}:
        assert getattr(user, field) == view[field], field
    assert str(user.profile_pic_url_hd) == view["profile_pic_url"]
    for reply in (POST, REEL, ALBUM):
        media, post = extract_media_v1(deepcopy(reply)), post_view(reply)
        assert (str(media.pk), media.id, media.code) == (post["pk"], post["id"], post["code"])
        assert (media.caption_text, media.like_count) == (post["caption"], post["like_count"])
        assert f"{media.taken_at:%Y-%m-%dT%H:%M:%SZ}" == post["taken_at"]
        assert media.user.pk == post["owner"]["pk"]


@pytest.mark.parametrize("field", sorted(set(USER) - {"pk"}))
@pytest.mark.parametrize("empty", ["absent", None])
def test_a_profile_may_lack_any_field_except_its_pk(field: str, empty: str | None) -> None:
    reply = {**USER, field: None}
    if empty == "absent":
        del reply[field]
    UserView.model_validate(user_view(reply), strict=True)


@pytest.mark.parametrize("field", sorted(set(REEL) - {"pk"}))
@pytest.mark.parametrize("empty", ["absent", None])
@pytest.mark.parametrize("whole", [POST, REEL, ALBUM], ids=["photo", "reel", "album"])
def test_a_post_may_lack_any_field_except_its_pk(
    whole: dict[str, Any], field: str, empty: str | None
) -> None:
    reply = {**whole, field: None}
    if empty == "absent":
        del reply[field]
    view = PostView.model_validate(post_view(reply), strict=True)
    assert (view.id, view.code) == (POST["id"], POST["code"])


@pytest.mark.parametrize(
    ("reply", "kind", "views", "thumbnail"),
    [
        (POST, "photo", None, "1080"),
        (REEL, "reel", 3410, "1080"),
        ({**REEL, "product_type": "feed"}, "video", 3410, "1080"),
        ({**REEL, "play_count": None, "ig_play_count": 12}, "reel", 12, "1080"),
        (ALBUM, "album", None, "1080"),
        ({**ALBUM, "carousel_media": None}, "album", None, None),
        ({**POST, "media_type": 99, "image_versions2": {}}, "other", None, None),
    ],
)
def test_every_kind_of_post_is_serialized(
    reply: dict[str, Any], kind: str, views: int | None, thumbnail: str | None
) -> None:
    view = post_view(reply)
    assert (view["kind"], view["view_count"]) == (kind, views)
    assert view["thumbnail_url"] == (thumbnail and PICTURE.format(thumbnail))


def test_hidden_counts_are_null() -> None:
    view = post_view({**REEL, "like_and_view_counts_disabled": True, "like_count": 3})
    assert (view["like_count"], view["view_count"], view["comment_count"]) == (None, None, 7)


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    view = user_view({**USER, "biography": "a\ud83d", "full_name": "\udc00b"})
    assert (view["biography"], view["full_name"]) == ("a?", "?b")
    assert post_view({**POST, "caption": {"text": "\ud83d"}})["caption"] == "?"


def test_a_reply_without_a_pk_is_an_error() -> None:
    for reply in ({}, {"pk": None, "id": ""}, {"username": "some.handle"}):
        with pytest.raises(MissingPk):
            user_view(reply)
        with pytest.raises(MissingPk):
            post_view(reply)


@pytest.mark.parametrize("value", [True, -1, float("nan"), float("inf"), "many", [3], {"count": 3}])
def test_a_count_that_is_no_number_is_null(value: Any) -> None:
    assert user_view({**USER, "follower_count": value})["follower_count"] is None


@pytest.mark.parametrize(
    ("value", "shown"), [(True, True), (1, True), ("true", True), (0, False), ("false", False)]
)
def test_a_flag_is_read_as_it_is_meant(value: Any, shown: bool) -> None:
    assert user_view({**USER, "is_private": value})["is_private"] is shown


@pytest.mark.parametrize("odd", [None, 7, "text", ["text"], {"text": 7}, [[]], True, 1.5, 10**30])
@pytest.mark.parametrize("field", sorted({*REEL, *ALBUM, "owner"} - {"pk"}))
def test_no_type_of_any_field_fails_a_post(field: str, odd: Any) -> None:
    PostView.model_validate(post_view({**REEL, **ALBUM, field: odd}), strict=True)


@pytest.mark.parametrize("odd", [None, 7, "text", ["text"], {"text": 7}, [[]], True, 1.5, 10**30])
@pytest.mark.parametrize("field", sorted(set(USER) - {"pk"}))
def test_no_type_of_any_field_fails_a_profile_or_a_row(field: str, odd: Any) -> None:
    UserView.model_validate(user_view({**USER, field: odd}), strict=True)
    assert row_view({**USER, field: odd})["pk"] == "40000000314"
