"""The reading calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from deploy.local.instagram import views
from deploy.local.instagram.http import Json, Reply, Request
from deploy.local.instagram.messages import Message, Thread
from deploy.local.instagram.posts import Comment
from deploy.local.instagram.replies import ok, refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account, User, crowd

_PAGE = 20
_LARGEST_FOLLOWERS_PAGE = 200

_Row = TypeVar("_Row", Message, Comment)


def current_user(world: State, account: Account, _request: Request) -> Reply:
    """The account's own profile."""
    own = views.user_full(account.user, world.posts.of(account.user))
    return ok(user={**own, "email": f"{account.username}@example.com", "phone_number": ""})


def user_by_name(world: State, _account: Account, request: Request) -> Reply:
    """A profile, by username."""
    return _profile(world, world.people.by_name(request.params["username"].lower()))


def user_by_pk(world: State, _account: Account, request: Request) -> Reply:
    """A profile, by pk."""
    return _profile(world, _user(world, request.params["pk"]))


def media_info(world: State, _account: Account, request: Request) -> Reply:
    """A post."""
    post = world.posts.find(request.params["media_id"])
    if post is None:
        return refuse("media_not_found")
    comment_count = len(world.posts.comments_under(post))
    return ok(items=[views.media(post, comment_count)], num_results=1, more_available=False)


def comments(world: State, _account: Account, request: Request) -> Reply:
    """One page of a post's comments, newest first."""
    post = world.posts.find(request.params["media_id"])
    if post is None:
        return refuse("media_not_found")
    stored = world.posts.comments_under(post)
    page, older = _newest_first(stored, request.query.get("min_id"), _PAGE)
    body: Json = {
        "comments": [views.comment(entry) for entry in page],
        "comment_count": len(stored),
        "has_more_comments": False,
        "has_more_headload_comments": older is not None,
    }
    return ok(**body) if older is None else ok(**body, next_min_id=older)


def followers(world: State, account: Account, request: Request) -> Reply:
    """One page of a user's followers."""
    user = _user(world, request.params["pk"])
    return _crowd_page(account, user, user.profile.followers if user else 0, request)


def following(world: State, account: Account, request: Request) -> Reply:
    """One page of those a user follows."""
    user = _user(world, request.params["pk"])
    return _crowd_page(account, user, user.profile.following if user else 0, request)


def by_participants(world: State, account: Account, request: Request) -> Reply:
    """The thread with exactly these people; an empty success when there is none."""
    pks = json.loads(request.query.get("recipient_users", "[]"))
    others = [user for pk in pks if (user := world.people.by_pk(int(pk)))]
    conversation = world.mail.between([account.user, *others])
    if conversation is None:
        return ok(users=[])
    shown = _thread_page(conversation, account.user, None, _PAGE)
    return ok(users=shown["users"], thread=shown)


def thread(world: State, account: Account, request: Request) -> Reply:
    """One page of a thread, newest first."""
    thread_id = request.params["thread_id"]
    conversation = world.mail.thread(int(thread_id)) if thread_id.isdigit() else None
    if conversation is None or account.user not in conversation.members:
        return refuse("thread_not_found")
    limit = int(request.query.get("limit") or _PAGE)
    cursor = request.query.get("cursor")
    return ok(thread=_thread_page(conversation, account.user, cursor, limit))


def inbox(world: State, account: Account, _request: Request) -> Reply:
    """The account's threads on one page, the latest active first."""
    threads = [
        _thread_page(entry, account.user, None, _PAGE)
        for entry in world.mail.threads_of(account.user)
    ]
    return ok(inbox={"threads": threads, "has_older": False, "unseen_count": 0})


def reels_tray(_world: State, _account: Account, _request: Request) -> Reply:
    """An empty tray."""
    return ok(tray=[], broadcasts=[])


def timeline(_world: State, _account: Account, _request: Request) -> Reply:
    """An empty timeline."""
    return ok(feed_items=[], num_results=0, more_available=False)


def _user(world: State, pk: str) -> User | None:
    return world.people.by_pk(int(pk)) if pk.isdigit() else None


def _profile(world: State, user: User | None) -> Reply:
    if user is None:
        return refuse("user_not_found")
    return ok(user=views.user_full(user, world.posts.of(user)))


def _crowd_page(account: Account, user: User | None, size: int, request: Request) -> Reply:
    if user is None:
        return refuse("user_not_found")
    if user.profile.is_private and user is not account.user:
        return refuse("private_account")
    start = int(request.query.get("max_id") or 0)
    count = min(int(request.query.get("count") or _LARGEST_FOLLOWERS_PAGE), _LARGEST_FOLLOWERS_PAGE)
    stop = min(start + count, size)
    body: Json = {
        "users": [views.user_short(entry) for entry in crowd(start, stop)],
        "big_list": size > count,
        "page_size": count,
    }
    return ok(**body, next_max_id=str(stop)) if stop < size else ok(**body)


def _thread_page(conversation: Thread, viewer: User, cursor: str | None, limit: int) -> Json:
    page, older = _newest_first(conversation.messages, cursor, limit)
    return views.thread(conversation, viewer, page, older)


def _newest_first(
    rows: Sequence[_Row], cursor: str | None, limit: int
) -> tuple[Sequence[_Row], str | None]:
    """A page that ends where the cursor says, and the cursor of the page before it.

    The cursor is how many rows are older than the page, which new rows do not change.
    """
    stop = min(int(cursor), len(rows)) if cursor and cursor.isdigit() else len(rows)
    start = max(stop - limit, 0)
    return rows[start:stop][::-1], str(start) if start else None
