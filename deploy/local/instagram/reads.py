"""Handlers of read calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from deploy.local.instagram import follower_lists, views
from deploy.local.instagram.follower_lists import Page
from deploy.local.instagram.http import Json, Reply, Request
from deploy.local.instagram.messages import Message, Thread
from deploy.local.instagram.posts import Comment
from deploy.local.instagram.replies import ok, refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account, User

_PAGE_SIZE = 20
_MAX_FOLLOWERS_PAGE = 200

_Row = TypeVar("_Row", Message, Comment)


def current_user(state: State, account: Account, _request: Request) -> Reply:
    """The account's own profile."""
    own = views.user_full(account.user, state.posts.count_of(account.user))
    return ok(user={**own, "email": f"{account.username}@example.com", "phone_number": ""})


def user_by_name(state: State, account: Account, request: Request) -> Reply:
    """A profile, by username."""
    return _profile(state, account, state.users.by_name(request.params["username"].lower()))


def user_by_pk(state: State, account: Account, request: Request) -> Reply:
    """A profile, by pk."""
    return _profile(state, account, _user(state, request.params["pk"]))


def media_info(state: State, account: Account, request: Request) -> Reply:
    """A post."""
    post = state.posts.find(request.params["media_id"])
    if post is None:
        return refuse("media_not_found")
    comment_count = len(state.posts.comments_under(post, account.user))
    return ok(items=[views.media(post, comment_count)], num_results=1, more_available=False)


def comments(state: State, account: Account, request: Request) -> Reply:
    """One page of the comments that the account sees under a post, newest first."""
    post = state.posts.find(request.params["media_id"])
    if post is None:
        return refuse("media_not_found")
    stored = state.posts.comments_under(post, account.user)
    page, older = _newest_first(stored, request.query.get("min_id"), _PAGE_SIZE)
    body: Json = {
        "comments": [views.comment(entry) for entry in page],
        "comment_count": len(stored),
        "has_more_comments": False,
        "has_more_headload_comments": older is not None,
    }
    return ok(**body) if older is None else ok(**body, next_min_id=older)


def followers(state: State, account: Account, request: Request) -> Reply:
    """One page of a user's followers."""
    user = _user(state, request.params["pk"])
    return _followers_page(state, account, user, user.profile.followers if user else 0, request)


def following(state: State, account: Account, request: Request) -> Reply:
    """One page of the accounts a user follows."""
    user = _user(state, request.params["pk"])
    return _followers_page(state, account, user, user.profile.following if user else 0, request)


def by_participants(state: State, account: Account, request: Request) -> Reply:
    """The thread with exactly these users; an empty success when there is none."""
    pks = json.loads(request.query.get("recipient_users", "[]"))
    others = [user for pk in pks if (user := state.users.by_pk(int(pk)))]
    conversation = state.messages.between([account.user, *others])
    if conversation is None:
        return ok(users=[])
    shown = _thread_page(conversation, account.user, None, _PAGE_SIZE)
    return ok(users=shown["users"], thread=shown)


def thread(state: State, account: Account, request: Request) -> Reply:
    """One page of a thread, newest first."""
    thread_id = request.params["thread_id"]
    conversation = state.messages.thread(int(thread_id)) if thread_id.isdigit() else None
    if conversation is None or account.user not in conversation.members:
        return refuse("thread_not_found")
    limit = int(request.query.get("limit") or _PAGE_SIZE)
    cursor = request.query.get("cursor")
    return ok(thread=_thread_page(conversation, account.user, cursor, limit))


def inbox(state: State, account: Account, _request: Request) -> Reply:
    """The account's threads on one page, most recently active first."""
    return _inbox(state, account, pending=False)


def pending_inbox(state: State, account: Account, _request: Request) -> Reply:
    """The message requests to the account on one page, most recently active first."""
    return _inbox(state, account, pending=True)


def reels_tray(_world: State, _account: Account, _request: Request) -> Reply:
    """An empty tray."""
    return ok(tray=[], broadcasts=[])


def timeline(_world: State, _account: Account, _request: Request) -> Reply:
    """An empty timeline."""
    return ok(feed_items=[], num_results=0, more_available=False)


def _inbox(state: State, account: Account, *, pending: bool) -> Reply:
    threads = [
        _thread_page(entry, account.user, None, _PAGE_SIZE)
        for entry in state.messages.threads_of(account.user, pending=pending)
    ]
    return ok(inbox={"threads": threads, "has_older": False, "unseen_count": 0})


def _user(state: State, pk: str) -> User | None:
    return state.users.by_pk(int(pk)) if pk.isdigit() else None


def _profile(state: State, account: Account, user: User | None) -> Reply:
    # Who blocks an account does not exist for it.
    if user is None or state.relations.holds("blocks", user, account.user):
        return refuse("user_not_found")
    return ok(user=views.user_full(user, state.posts.count_of(user)))


def _followers_page(
    state: State, account: Account, user: User | None, size: int, request: Request
) -> Reply:
    if user is None or state.relations.holds("blocks", user, account.user):
        return refuse("user_not_found")
    known = user is account.user or state.relations.holds("follows", account.user, user)
    if user.profile.is_private and not known:
        return refuse("private_account")
    start = int(request.query.get("max_id") or 0)
    count = min(int(request.query.get("count") or _MAX_FOLLOWERS_PAGE), _MAX_FOLLOWERS_PAGE)
    return ok(**follower_lists.listed(user.profile.lists, Page(start, count, size)))


def _thread_page(conversation: Thread, viewer: User, cursor: str | None, limit: int) -> Json:
    page, older = _newest_first(conversation.messages, cursor, limit)
    return views.thread(conversation, viewer, page, older)


def _newest_first(
    rows: Sequence[_Row], cursor: str | None, limit: int
) -> tuple[Sequence[_Row], str | None]:
    """One page, newest first, and the cursor of the next, older page.

    A cursor is the number of rows older than the previous page, which new rows do not change.
    """
    stop = min(int(cursor), len(rows)) if cursor and cursor.isdigit() else len(rows)
    start = max(stop - limit, 0)
    return rows[start:stop][::-1], str(start) if start else None
