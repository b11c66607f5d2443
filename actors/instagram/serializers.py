"""The fields of Instagram's replies that the API returns.

They are few and stable, whatever else a reply contains or lacks; `service/lookups/schemas.py`
documents them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aiograpi.utils.ids import InstagramIdCodec

Reply = Mapping[str, Any]

#: By Instagram's `media_type`.
_KINDS: Final = {1: "photo", 2: "video", 8: "album"}


def user_view(user: Reply) -> dict[str, Any]:
    """The profile fields the API returns.

    Parameters:
      user: Instagram's user object.

    Raises:
      LookupError: It has no `pk` or `username`.
    """
    return {
        "pk": str(user["pk"]),
        "username": str(user["username"]),
        "full_name": _valid_utf8(user.get("full_name")),
        "biography": _valid_utf8(user.get("biography")),
        "is_private": bool(user.get("is_private")),
        "is_verified": bool(user.get("is_verified")),
        "follower_count": _count(user.get("follower_count")),
        "following_count": _count(user.get("following_count")),
        "media_count": _count(user.get("media_count")),
        "profile_pic_url": _picture(user),
    }


def post_view(media: Reply) -> dict[str, Any]:
    """The post fields the API returns.

    Parameters:
      media: Instagram's media object.

    Raises:
      LookupError: It has no `pk`, or no owner.
    """
    pk, owner = str(media["pk"]), _owner(media.get("user") or {})
    # When counts are hidden, the numbers in the reply are not real.
    counts: Reply = {} if media.get("like_and_view_counts_disabled") else media
    return {
        "pk": pk,
        "id": str(media.get("id") or f"{pk}_{owner['pk']}"),
        "code": media.get("code") or InstagramIdCodec.encode(int(pk)),
        "kind": _kind(media),
        "taken_at": _timestamp(media.get("taken_at")),
        "caption": _valid_utf8((media.get("caption") or {}).get("text")),
        "like_count": _count(counts.get("like_count")),
        "comment_count": _count(media.get("comment_count")),
        "view_count": _count(
            counts.get("play_count") or counts.get("ig_play_count") or counts.get("view_count")
        ),
        "owner": owner,
        "thumbnail_url": _thumbnail(media),
    }


def row_view(user: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a follower export.

    Parameters:
      user: Instagram's user object; only the pk is required, so that one odd user does not fail
        a page.

    Raises:
      LookupError: It has no pk.
    """
    return {
        "pk": str(user.get("pk") or user["id"]),
        "username": str(user.get("username") or ""),
        "full_name": _valid_utf8(user.get("full_name")),
        "is_private": bool(user.get("is_private")),
        "is_verified": bool(user.get("is_verified")),
    }


def _valid_utf8(text: Any) -> str:
    """Text that UTF-8 can encode: a lone surrogate becomes a question mark."""
    return str(text or "").encode(errors="replace").decode()


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 0 else None


def _picture(user: Reply) -> str | None:
    versions = user.get("hd_profile_pic_versions") or []
    best = versions[-1] if versions else user.get("hd_profile_pic_url_info") or {}
    return best.get("url") or user.get("profile_pic_url") or None


def _kind(media: Reply) -> str:
    if media.get("media_type") == 2 and media.get("product_type") == "clips":
        return "reel"
    return _KINDS.get(media.get("media_type") or 0, "other")


def _timestamp(taken_at: Any) -> str | None:
    if not isinstance(taken_at, int | float):
        return None
    return datetime.fromtimestamp(taken_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _owner(user: Reply) -> dict[str, Any]:
    return {"pk": str(user.get("pk") or user["id"]), "username": user.get("username")}


def _thumbnail(media: Reply) -> str | None:
    """URL of the largest picture; for an album, of the first part that has one."""
    parts = (media, *(media.get("carousel_media") or []))
    for part in parts:
        sizes = (part.get("image_versions2") or {}).get("candidates") or []
        if sizes:
            largest = max(sizes, key=lambda size: size.get("width", 0) * size.get("height", 0))
            return largest.get("url") or None
    return None
