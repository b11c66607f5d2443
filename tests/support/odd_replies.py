"""Profiles, posts and rows of follower lists as Instagram has been seen to send them.

Each is a change of a usual one: a field's new value, or `ABSENT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ABSENT: Final = object()


@dataclass(frozen=True)
class OddShape:
    """One way in which a reply differs from the usual one.

    Parameters:
      seen: Where it was reported.
      changes: Its fields; a callable is given the usual object.
      view: What the API shows instead of the usual values.
    """

    seen: str
    changes: Mapping[str, Any]
    view: Mapping[str, Any] = field(default_factory=dict)


def changed(usual: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """An object with other fields."""
    whole = {
        **usual,
        **{name: value(usual) if callable(value) else value for name, value in changes.items()},
    }
    return {name: value for name, value in whole.items() if value is not ABSENT}


def _as_text(name: str) -> Any:
    return lambda usual: str(usual[name])


def _as_number(name: str) -> Any:
    return lambda usual: int(usual[name])


_NO_PK: Final = dict.fromkeys(("pk", "pk_id", "id", "strong_id__"), ABSENT)

USUAL_USER: Final[dict[str, Any]] = {
    "pk_id": ABSENT,
    "full_name": "Some Handle",
    "biography": "Ceramics",
    "is_private": False,
    "is_verified": True,
    "is_business": False,
    "follower_count": 2450,
    "following_count": 311,
    "media_count": 87,
    "profile_pic_url": "https://scontent.cdninstagram.com/small.jpg",
    "hd_profile_pic_url_info": {"url": "https://scontent.cdninstagram.com/large.jpg"},
    "external_url": "https://example.com",
    "has_anonymous_profile_picture": False,
}

_SMALL: Final = "https://scontent.cdninstagram.com/small.jpg"

#: By what is odd about it; the usual user is `USUAL_USER` with a pk and the username.
PROFILES: Final[dict[str, OddShape]] = {
    "pk as a number": OddShape("instagrapi issue 1705", {**_NO_PK, "pk": _as_number("pk")}),
    "pk as text": OddShape("aiograpi types.py, User.pk", {**_NO_PK, "pk": _as_text("pk")}),
    "id only": OddShape(
        "aiograpi extractors.py, extract_user_gql", {**_NO_PK, "id": _as_text("pk")}
    ),
    "pk_id only": OddShape(
        "aiograpi mixins/auth.py, profile.get('pk_id')", {**_NO_PK, "pk_id": _as_text("pk")}
    ),
    "strong_id__ only": OddShape(
        "aiograpi types.py, strong_id__", {**_NO_PK, "strong_id__": _as_text("pk")}
    ),
    "pk null beside an id": OddShape(
        "aiograpi extractors.py, extract_user_short", {"pk": None, "id": _as_text("pk")}
    ),
    "pk empty beside pk_id": OddShape(
        "aiograpi mixins/user.py, data.get('pk', data.get('pk_id'))",
        {**_NO_PK, "pk": "", "pk_id": _as_number("pk")},
    ),
    "wrapped in a search": OddShape(
        "megadose/toutatis issue 148",
        {
            **dict.fromkeys((*USUAL_USER, *_NO_PK, "username"), ABSENT),
            "multiple_users_found": False,
            "user": lambda usual: {**usual, "pk": usual["pk"]},
        },
    ),
    "no full_name": OddShape(
        "aiograpi mixins/private.py, private_request", {"full_name": ABSENT}, {"full_name": ""}
    ),
    "full_name null": OddShape(
        "aiograpi mixins/private.py, private_request", {"full_name": None}, {"full_name": ""}
    ),
    "full_name a number": OddShape(
        "instagrapi issue 1705, a number for text", {"full_name": 1984}, {"full_name": "1984"}
    ),
    "biography null": OddShape("instagrapi issue 1523", {"biography": None}, {"biography": ""}),
    "external_url null": OddShape("instagrapi issue 71", {"external_url": None}),
    "external_url an object": OddShape("instagrapi issue 124", {"external_url": {"url": None}}),
    "no picture in HD": OddShape(
        "instagrapi pull request 903",
        {"hd_profile_pic_url_info": ABSENT},
        {"profile_pic_url": _SMALL},
    ),
    "picture in HD without a URL": OddShape(
        "instagrapi pull request 903",
        {"hd_profile_pic_url_info": {"width": 320}},
        {"profile_pic_url": _SMALL},
    ),
    "picture in HD as a list": OddShape(
        "instagrapi pull request 1083",
        {"hd_profile_pic_url_info": [{"url": "https://scontent.cdninstagram.com/x.jpg"}]},
        {"profile_pic_url": _SMALL},
    ),
    "versions of the picture as an object": OddShape(
        "instagrapi pull request 1083",
        {"hd_profile_pic_versions": {"url": "https://scontent.cdninstagram.com/x.jpg"}},
    ),
    "no picture at all": OddShape(
        "instagrapi issue 1443",
        {"hd_profile_pic_url_info": None, "profile_pic_url": None},
        {"profile_pic_url": None},
    ),
    "has_anonymous_profile_picture absent": OddShape(
        "arc298/instagram-scraper issue 466", {"has_anonymous_profile_picture": ABSENT}
    ),
    "pinned_channels_info null": OddShape(
        "aiograpi extractors.py, extract_broadcast_channel", {"pinned_channels_info": None}
    ),
    "is_business absent": OddShape("aiograpi types.py, User.is_business", {"is_business": ABSENT}),
    "is_private null": OddShape(
        "RapidAPI instagram-scraper-api2, search-users", {"is_private": None}
    ),
    "is_verified null": OddShape(
        "RapidAPI instagram-scraper-api2, search-users",
        {"is_verified": None},
        {"is_verified": False},
    ),
    "flags as numbers": OddShape(
        "third_party_downloads_enabled: 0, instagrapi issue 1523",
        {"is_private": 0, "is_verified": 1},
    ),
    "counts absent": OddShape(
        "aiograpi types.py, UserShort",
        dict.fromkeys(("follower_count", "following_count", "media_count"), ABSENT),
        dict.fromkeys(("follower_count", "following_count", "media_count")),
    ),
    "media_count null": OddShape(
        "HikerAPI /g2/user/followers, all_media_count", {"media_count": None}, {"media_count": None}
    ),
    "counts of another type": OddShape(
        "instagram web_profile_info, edge_followed_by",
        {"follower_count": {"count": 2450}, "following_count": "311", "media_count": [87]},
        {"follower_count": None, "media_count": None},
    ),
    "behind an age gate": OddShape(
        "mgp25/Instagram-API issue 3107",
        {
            "gating": {"gating_type": "appealable", "title": "Are You 20 or Over?"},
            "follower_count": 0,
            "following_count": 0,
            "media_count": 0,
        },
        dict.fromkeys(("follower_count", "following_count", "media_count")),
    ),
    "username null": OddShape("HikerAPI /g2/user/followers, null fields", {"username": None}),
    "fields of another release": OddShape(
        "instagrapi issue 1523",
        {
            "biography_with_entities": {"raw_text": "", "entities": []},
            "smb_support_partner": None,
            "fbid_v2": 17841460944029222,
            "account_badges": [{}],
            "a_field_of_next_year": {"with": ["anything"]},
        },
    ),
}

_POST_PK: Final = "3700000000000000001"
_OWNER_PK: Final = "40000000314"

USUAL_POST: Final[dict[str, Any]] = {
    "pk": int(_POST_PK),
    "id": f"{_POST_PK}_{_OWNER_PK}",
    "code": "DNZCmWE8gAB",
    "taken_at": 1795170408,
    "media_type": 1,
    "user": {"pk": int(_OWNER_PK), "username": "some.handle"},
    "caption": {"text": "New glazes"},
    "image_versions2": {
        "candidates": [{"url": "https://scontent.cdninstagram.com/p.jpg", "width": 9, "height": 9}]
    },
    "like_count": 120,
    "comment_count": 7,
}
_PICTURE: Final = "https://scontent.cdninstagram.com/p.jpg"

#: By what is odd about it; the usual post is `USUAL_POST`.
POSTS: Final[dict[str, OddShape]] = {
    "pk as text": OddShape("aiograpi types.py, Media.pk", {"pk": _POST_PK}),
    "an id without a pk": OddShape("aiograpi mixins/media.py, media_pk", {"pk": ABSENT}),
    "pk null": OddShape("aiograpi mixins/media.py, media_pk", {"pk": None}),
    "strong_id__ only": OddShape(
        "carousel_media[].strong_id__, aiograpi types.py",
        {"pk": ABSENT, "id": ABSENT, "strong_id__": f"{_POST_PK}_{_OWNER_PK}"},
    ),
    "id without its owner's part": OddShape("aiograpi mixins/media.py, media_id", {"id": _POST_PK}),
    "no user": OddShape(
        "aiograpi extractors.py, media.get('user')",
        {"user": ABSENT},
        {"owner": {"pk": _OWNER_PK, "username": None}},
    ),
    "user null": OddShape(
        "aiograpi extractors.py, media.get('user')",
        {"user": None},
        {"owner": {"pk": _OWNER_PK, "username": None}},
    ),
    "no owner in any form": OddShape(
        "aiograpi extractors.py, media.get('user')",
        {"user": None, "id": _POST_PK},
        {"owner": None, "id": _POST_PK},
    ),
    "user with an id only": OddShape(
        "instagrapi issue 1443", {"user": {"id": _OWNER_PK, "username": "some.handle"}}
    ),
    "an owner for a user": OddShape(
        "aiograpi extractors.py, extract_media_gql",
        {"user": ABSENT, "owner": {"id": _OWNER_PK, "username": "some.handle"}},
    ),
    "caption null": OddShape(
        "dilame/instagram-private-api issue 966", {"caption": None}, {"caption": ""}
    ),
    "caption without text": OddShape(
        "dilame/instagram-private-api issue 966", {"caption": {"pk": 1}}, {"caption": ""}
    ),
    "caption as text": OddShape("InstaPy/instapy-quickstart issue 100", {"caption": "New glazes"}),
    "pictures without scans_profile": OddShape("instagrapi issues 2286 and 2288", {}),
    "picture without a size": OddShape(
        "instagrapi issue 2356",
        {"image_versions2": {"candidates": [None, {"url": _PICTURE, "scans_profile": None}]}},
    ),
    "picture with its size as text": OddShape(
        "instagrapi issue 2356",
        {"image_versions2": {"candidates": [{"url": _PICTURE, "width": "9", "height": None}]}},
    ),
    "no picture": OddShape(
        "aiograpi extractors.py, image_versions2",
        {"image_versions2": None},
        {"thumbnail_url": None},
    ),
    "clips_metadata of another type": OddShape(
        "instagrapi issue 2356", {"clips_metadata": {"reusable_text_info": [{}]}}
    ),
    "usertags null": OddShape("aiograpi extractors.py, usertags", {"usertags": None}),
    "sponsor_tags with half a friendship": OddShape(
        "instagrapi issue 2701",
        {"sponsor_tags": [{"sponsor": {"friendship_status": {"following": False}}}]},
    ),
    "coauthor_producers null": OddShape(
        "aiograpi extractors.py, coauthor_producers", {"coauthor_producers": None}
    ),
    "no like_count": OddShape(
        "instabot-py/instabot.py issue 1670", {"like_count": ABSENT}, {"like_count": None}
    ),
    "like_count of -1": OddShape(
        "aiograpi types.py, Media.like_count", {"like_count": -1}, {"like_count": None}
    ),
    "no comment_count": OddShape(
        "facebookarchive/python-instagram pull request 226",
        {"comment_count": ABSENT},
        {"comment_count": None},
    ),
    "taken_at as text": OddShape("aiograpi types.py, Media.taken_at", {"taken_at": "1795170408"}),
    "taken_at beyond all years": OddShape(
        "microseconds of direct messages, aiograpi extractors.py",
        {"taken_at": 1795170408000000},
        {"taken_at": None},
    ),
    "media_type unknown": OddShape(
        "aiograpi extractors.py, MEDIA_TYPES_GQL", {"media_type": 11}, {"kind": "other"}
    ),
    "media_type as text": OddShape("aiograpi extractors.py, MEDIA_TYPES_GQL", {"media_type": "1"}),
    "no code": OddShape("aiograpi mixins/media.py, media_code_from_pk", {"code": None}),
}
