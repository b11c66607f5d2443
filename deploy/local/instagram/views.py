"""Users, posts, comments and threads in the JSON of Instagram's private API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.local.instagram.http import Json
from deploy.local.instagram.messages import Message, Thread, last_activity_us
from deploy.local.instagram.odd_fields import POST_SHAPES, USER_SHAPES
from deploy.local.instagram.posts import Comment, Post
from deploy.local.instagram.users import User

_PICTURE = "https://scontent.cdninstagram.com/v/t51/{pk}.jpg"


def user_short(user: User) -> Json:
    """A user as shown in lists."""
    return {
        "pk": user.pk,
        "pk_id": str(user.pk),
        "id": str(user.pk),
        "username": user.username,
        "full_name": user.profile.full_name,
        "is_private": user.profile.is_private,
        "is_verified": user.profile.is_verified,
        "profile_pic_url": _PICTURE.format(pk=user.pk),
        "has_anonymous_profile_picture": False,
    }


def user_full(user: User, media_count: int) -> Json:
    """A user as shown on its profile."""
    view = {
        **user_short(user),
        "biography": "",
        "external_url": "",
        "media_count": media_count,
        "follower_count": user.profile.followers,
        "following_count": user.profile.following,
        "is_business": user.profile.is_business,
        "hd_profile_pic_url_info": {"url": _PICTURE.format(pk=user.pk)},
    }
    return USER_SHAPES[user.profile.shape](view)


def media(post: Post, comment_count: int) -> Json:
    """A post as shown by itself."""
    view = {
        "pk": str(post.pk),
        "id": post.id,
        "code": post.code,
        "taken_at": post.taken_at,
        "media_type": 1,
        "product_type": "feed",
        "user": user_short(post.owner),
        "caption": {"text": post.caption},
        "image_versions2": {
            "candidates": [
                {"width": 1080, "height": 1080, "url": _PICTURE.format(pk=post.pk)},
            ]
        },
        "like_count": 0,
        "comment_count": comment_count,
        "comments_disabled": post.comments_disabled,
    }
    return POST_SHAPES[post.shape](view)


def comment(stored: Comment) -> Json:
    return {
        "pk": str(stored.pk),
        "media_id": str(stored.post.pk),
        "text": stored.text,
        "user_id": stored.user.pk,
        "user": user_short(stored.user),
        "created_at": int(stored.stored_at),
        "created_at_utc": int(stored.stored_at),
        "content_type": "comment",
        "status": "Active",
        "comment_like_count": 0,
        "has_liked_comment": False,
    }


def receipt(message: Message) -> Json:
    """The reply to the sender of a message."""
    return {
        "client_context": message.draft.client_context,
        "item_id": str(message.item_id),
        "timestamp": str(message.timestamp_us),
        "thread_id": str(message.thread_id),
        "user_id": message.sender.pk,
    }


def item(message: Message, viewer: User) -> Json:
    """A message as shown in a thread."""
    draft = message.draft
    view: Json = {
        **receipt(message),
        "timestamp": message.timestamp_us,
        "item_type": "media" if draft.kind == "photo" else draft.kind,
        "is_sent_by_viewer": message.sender.pk == viewer.pk,
        "is_shh_mode": False,
    }
    if draft.kind == "text":
        view["text"] = draft.text
    if draft.kind == "link":
        url = draft.links[0] if draft.links else ""
        view["link"] = {"text": draft.text, "link_context": {"link_url": url}}
    return view


def thread(conversation: Thread, viewer: User, page: Sequence[Message], older: str | None) -> Json:
    """A thread with one page of its messages.

    Parameters:
        page: the messages, newest first.
        older: the cursor of the next page, or None on the last page.
    """
    others = conversation.others(viewer)
    view: Json = {
        "thread_id": str(conversation.id),
        "thread_v2_id": str(conversation.v2_id),
        "users": [user_short(user) for user in others],
        "inviter": user_short(conversation.inviter),
        "items": [item(message, viewer) for message in page],
        "has_older": older is not None,
        "last_activity_at": last_activity_us(conversation),
        "thread_title": ", ".join(user.username for user in others),
        "is_group": len(others) > 1,
        "viewer_id": viewer.pk,
        **_THREAD_SETTINGS,
        "pending": viewer.pk in conversation.pending_for,
    }
    return view if older is None else {**view, "oldest_cursor": older}


_THREAD_SETTINGS: dict[str, Any] = {
    "left_users": [],
    "admin_user_ids": [],
    "muted": False,
    "named": False,
    "canonical": True,
    "archived": False,
    "thread_type": "private",
    "folder": 0,
    "vc_muted": False,
    "mentions_muted": False,
    "approval_required_for_new_members": False,
    "input_mode": 0,
    "read_state": 0,
    "shh_mode_enabled": False,
    "last_seen_at": {},
}
