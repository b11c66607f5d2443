"""Handlers of write calls: direct messages, photos, comments."""

from __future__ import annotations

import json

from deploy.local.instagram import views
from deploy.local.instagram.http import Json, Reply, Request
from deploy.local.instagram.messages import Draft, Thread
from deploy.local.instagram.replies import ok, refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account, User

#: The first bytes of every JPEG.
_JPEG = b"\xff\xd8\xff"


def send_text(state: State, account: Account, request: Request) -> Reply:
    """Send a text."""
    return _send(state, account, request, _draft("text", request.form, "text"))


def send_link(state: State, account: Account, request: Request) -> Reply:
    """Send a text with links in it."""
    return _send(state, account, request, _draft("link", request.form, "link_text"))


def send_photo(state: State, account: Account, request: Request) -> Reply:
    """Send an uploaded photo into an existing thread."""
    upload_id = str(request.form["attachment_fbid"])
    if "thread_ids" not in request.form or not state.uploads.has(account.user, upload_id):
        return refuse("bad_request")
    return _send(state, account, request, _draft("photo", request.form, "text"))


def upload_photo(state: State, account: Account, request: Request) -> Reply:
    """Store a photo's bytes and return their id."""
    complete = request.headers.get("x-entity-length") == str(len(request.body))
    if not complete or not request.body.startswith(_JPEG):
        return refuse("bad_request")
    return Reply(200, {"media_id": state.uploads.store(account.user, request.body).id})


def comment(state: State, account: Account, request: Request) -> Reply:
    """Comment on a post."""
    post = state.posts.find(request.params["media_id"])
    if post is None:
        return refuse("media_unavailable")
    if post.comments_disabled:
        return refuse("comments_disabled")
    text, token = str(request.form["comment_text"]), str(request.form["idempotence_token"])
    stored = state.posts.comment(account.user, post, text, token)
    return ok(comment=views.comment(stored))


def _draft(kind: str, form: Json, text_field: str) -> Draft:
    return Draft(
        kind=kind,
        text=str(form.get(text_field, "")),
        client_context=str(form["client_context"]),
        links=tuple(json.loads(form.get("link_urls", "[]"))),
        attachment_id=form.get("attachment_fbid"),
    )


def _send(state: State, account: Account, request: Request, draft: Draft) -> Reply:
    if "thread_ids" in request.form:
        found = _thread_by_id(state, account.user, request.form)
    else:
        found = _thread_by_recipients(state, account.user, request.form)
    if isinstance(found, Reply):
        return found
    message = state.messages.store(account.user, found, draft)
    return ok(action="item_ack", status_code="200", payload=views.receipt(message))


def _thread_by_id(state: State, sender: User, form: Json) -> Thread | Reply:
    (thread_id,) = json.loads(form["thread_ids"])
    found = state.messages.thread(int(thread_id))
    return refuse("thread_not_found") if found is None or sender not in found.members else found


def _thread_by_recipients(state: State, sender: User, form: Json) -> Thread | Reply:
    (pks,) = json.loads(form["recipient_users"])
    recipients = [state.users.by_pk(int(pk)) for pk in pks]
    known = [user for user in recipients if user is not None]
    if not known or len(known) < len(pks):
        return refuse("invalid_target_user")
    closed = any(not user.profile.takes_requests for user in known)
    if closed and state.messages.between([sender, *known]) is None:
        return refuse("dm_requests_disabled")
    return state.messages.open_between(sender, known)
