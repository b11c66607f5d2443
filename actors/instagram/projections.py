"""What of Instagram's answers is told on: few fields, stable, whatever the client library adds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from aiograpi.types import Media, User, UserShort

_KINDS: Final = {1: "photo", 2: "video", 8: "album"}


def user_view(user: User) -> dict[str, Any]:
    """A profile as the API tells it.

    Parameters:
      user: The client library's.
    """
    return {
        "pk": str(user.pk),
        "username": user.username,
        "full_name": user.full_name,
        "biography": user.biography or "",
        "is_private": user.is_private,
        "is_verified": user.is_verified,
        "follower_count": user.follower_count,
        "following_count": user.following_count,
        "media_count": user.media_count,
        "profile_pic_url": _text(user.profile_pic_url_hd or user.profile_pic_url),
    }


def post_view(media: Media) -> dict[str, Any]:
    """A post as the API tells it.

    Parameters:
      media: The client library's.
    """
    return {
        "pk": str(media.pk),
        "id": str(media.id),
        "code": media.code,
        "kind": _kind(media),
        "taken_at": media.taken_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "caption": media.caption_text or "",
        "like_count": media.like_count or 0,
        "comment_count": media.comment_count or 0,
        "view_count": media.play_count or media.view_count or None,
        "owner": _owner(media.user),
        "thumbnail_url": _text(_thumbnail(media)),
    }


def row_view(user: Mapping[str, Any]) -> dict[str, Any]:
    """A follower as a walk's result tells it.

    Parameters:
      user: As Instagram gives it: a page must not fail for a field that nobody asked for.

    Raises:
      LookupError: It is nobody's.
    """
    return {
        "pk": str(user.get("pk") or user["id"]),
        "username": _whole(user.get("username")),
        "full_name": _whole(user.get("full_name")),
        "is_private": bool(user.get("is_private")),
        "is_verified": bool(user.get("is_verified")),
    }


def _whole(text: Any) -> str:
    """A name as UTF-8 can hold it: half a surrogate pair becomes a question mark."""
    return str(text or "").encode(errors="replace").decode()


def _kind(media: Media) -> str:
    if media.media_type == 2 and media.product_type == "clips":
        return "reel"
    return _KINDS.get(media.media_type, "other")


def _owner(user: UserShort) -> dict[str, str | None]:
    return {"pk": str(user.pk), "username": user.username}


def _thumbnail(media: Media) -> Any:
    if media.thumbnail_url is None and media.resources:
        return media.resources[0].thumbnail_url
    return media.thumbnail_url


def _text(url: Any) -> str | None:
    return None if url is None else str(url)
