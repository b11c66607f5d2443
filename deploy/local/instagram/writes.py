"""The writing calls: direct messages, photos, comments."""

from __future__ import annotations

import json

from deploy.local.instagram import views
from deploy.local.instagram.http import Json, Reply, Request
from deploy.local.instagram.messages import Draft, Thread
from deploy.local.instagram.replies import ok, refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account, User

#: How every JPEG begins.
_JPEG = b"\xff\xd8\xff"


def send_text(world: State, account: Account, request: Request) -> Reply:
    """Send a text."""
    return _send(world, account, request, _draft("text", request.form, "text"))


def send_link(world: State, account: Account, request: Request) -> Reply:
    """Send a text with links in it."""
    return _send(world, account, request, _draft("link", request.form, "link_text"))


def send_photo(world: State, account: Account, request: Request) -> Reply:
    """Send an uploaded photo, into a thread that exists."""
    number = str(request.form["attachment_fbid"])
    if "thread_ids" not in request.form or not world.uploads.has(account.user, number):
        return refuse("bad_request")
    return _send(world, account, request, _draft("photo", request.form, "text"))


def upload_photo(world: State, account: Account, request: Request) -> Reply:
    """Take a photo's bytes and give them a number."""
    whole = request.headers.get("x-entity-length") == str(len(request.body))
    if not whole or not request.body.startswith(_JPEG):
        return refuse("bad_request")
    return Reply(200, {"media_id": world.uploads.store(account.user, request.body).id})


def comment(world: State, account: Account, request: Request) -> Reply:
    """Put a comment under a post."""
    post = world.posts.find(request.params["media_id"])
    if post is None:
        return refuse("media_unavailable")
    if post.comments_disabled:
        return refuse("comments_disabled")
    text, token = str(request.form["comment_text"]), str(request.form["idempotence_token"])
    stored = world.posts.comment(account.user, post, text, token)
    return ok(comment=views.comment(stored))


def _draft(kind: str, form: Json, text_field: str) -> Draft:
    return Draft(
        kind=kind,
        text=str(form.get(text_field, "")),
        client_context=str(form["client_context"]),
        links=tuple(json.loads(form.get("link_urls", "[]"))),
        attachment_id=form.get("attachment_fbid"),
    )


def _send(world: State, account: Account, request: Request, draft: Draft) -> Reply:
    if "thread_ids" in request.form:
        found = _named_thread(world, account.user, request.form)
    else:
        found = _thread_with_recipients(world, account.user, request.form)
    if isinstance(found, Reply):
        return found
    message = world.mail.store(account.user, found, draft)
    return ok(action="item_ack", status_code="200", payload=views.receipt(message))


def _named_thread(world: State, sender: User, form: Json) -> Thread | Reply:
    (thread_id,) = json.loads(form["thread_ids"])
    found = world.mail.thread(int(thread_id))
    return refuse("thread_not_found") if found is None or sender not in found.members else found


def _thread_with_recipients(world: State, sender: User, form: Json) -> Thread | Reply:
    (pks,) = json.loads(form["recipient_users"])
    recipients = [world.people.by_pk(int(pk)) for pk in pks]
    known = [user for user in recipients if user is not None]
    if not known or len(known) < len(pks):
        return refuse("invalid_target_user")
    closed = any(not user.profile.takes_requests for user in known)
    if closed and world.mail.between([sender, *known]) is None:
        return refuse("dm_requests_disabled")
    return world.mail.open_between(sender, known)
