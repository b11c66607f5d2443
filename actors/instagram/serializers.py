"""The fields of Instagram's replies that the API returns.

They are few and stable, whatever else a reply contains or lacks; `service/lookups/schemas.py`
documents them. Only the pk is needed: every other field has an empty value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from aiograpi.utils.ids import InstagramIdCodec

from actors.instagram.pks import owner_pk, post_pk, user_pk
from actors.instagram.reply_fields import Reply, count, flag, mapping, objects, text

#: By Instagram's `media_type`.
_KINDS: Final = {1: "photo", 2: "video", 8: "album"}


def user_view(user: Reply, name: str = "") -> dict[str, Any]:
    """The profile fields the API returns.

    Parameters:
      user: Instagram's user object.
      name: The username it was asked for by, for a reply without one.

    Raises:
      MissingPk: It has no pk in any form.
    """
    # Behind an age gate the profile is a shell whose counts are all 0 (mgp25/Instagram-API issue
    # 3107); a DM needs only its pk.
    counts: Reply = {} if user.get("gating") else user
    return {
        "pk": user_pk(user),
        "username": text(user.get("username")) or name,
        "full_name": text(user.get("full_name")),
        "biography": text(user.get("biography")),
        "is_private": flag(user.get("is_private")),
        "is_verified": flag(user.get("is_verified")),
        "follower_count": count(counts.get("follower_count")),
        "following_count": count(counts.get("following_count")),
        "media_count": count(counts.get("media_count")),
        "profile_pic_url": _picture(user),
    }


def post_view(media: Reply) -> dict[str, Any]:
    """The post fields the API returns.

    Parameters:
      media: Instagram's media object.

    Raises:
      MissingPk: It has no pk in any form.
    """
    pk, owner = post_pk(media), _owner(media)
    # When counts are hidden, the numbers in the reply are not real.
    counts: Reply = {} if media.get("like_and_view_counts_disabled") else media
    return {
        "pk": pk,
        "id": f"{pk}_{owner['pk']}" if owner else pk,
        "code": text(media.get("code")) or InstagramIdCodec.encode(int(pk)),
        "kind": _kind(media),
        "taken_at": _timestamp(media.get("taken_at")),
        "caption": _caption(media.get("caption")),
        "like_count": count(counts.get("like_count")),
        "comment_count": count(media.get("comment_count")),
        "view_count": _views(counts),
        "owner": owner,
        "thumbnail_url": _thumbnail(media),
    }


def row_view(user: Reply) -> dict[str, Any]:
    """One row of a follower export.

    Parameters:
      user: Instagram's user object.

    Raises:
      MissingPk: It has no pk in any form.
    """
    return {
        "pk": user_pk(user),
        "username": text(user.get("username")),
        "full_name": text(user.get("full_name")),
        "is_private": flag(user.get("is_private")),
        "is_verified": flag(user.get("is_verified")),
    }


def _picture(user: Reply) -> str | None:
    versions = objects(user.get("hd_profile_pic_versions"))
    best = versions[-1] if versions else mapping(user.get("hd_profile_pic_url_info"))
    return _url(best) or _link(user.get("profile_pic_url"))


def _kind(media: Reply) -> str:
    media_type = count(media.get("media_type")) or 0
    if media_type == 2 and media.get("product_type") == "clips":
        return "reel"
    return _KINDS.get(media_type, "other")


def _timestamp(taken_at: Any) -> str | None:
    seconds = count(taken_at)
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def _caption(caption: Any) -> str:
    return text(mapping(caption).get("text")) or text(caption)


def _views(counts: Reply) -> int | None:
    numbers = [count(counts.get(name)) for name in ("play_count", "ig_play_count", "view_count")]
    return next((number for number in numbers if number), 0 if 0 in numbers else None)


def _owner(media: Reply) -> dict[str, Any] | None:
    pk = owner_pk(media)
    if pk is None:
        return None
    user = mapping(media.get("user")) or mapping(media.get("owner"))
    return {"pk": pk, "username": text(user.get("username")) or None}


def _thumbnail(media: Reply) -> str | None:
    """URL of the largest picture; for an album, of the first part that has one."""
    for part in (media, *objects(media.get("carousel_media"))):
        sizes = objects(mapping(part.get("image_versions2")).get("candidates"))
        if sizes:
            return _url(max(sizes, key=_area))
    return None


def _area(size: Reply) -> int:
    return (count(size.get("width")) or 0) * (count(size.get("height")) or 0)


def _url(picture: Reply) -> str | None:
    return _link(picture.get("url"))


def _link(value: Any) -> str | None:
    return text(value) or None if isinstance(value, str) else None
