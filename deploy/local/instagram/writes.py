"""Handlers of write calls: direct messages, photos, comments."""

from __future__ import annotations

import json

from deploy.local.instagram import content_filters, recipient_settings, views
from deploy.local.instagram.comment_settings import COMMENT_SETTINGS, Audience
from deploy.local.instagram.http import Json, Reply, Request
from deploy.local.instagram.messages import Draft, Thread
from deploy.local.instagram.posts import CommentDraft, Post
from deploy.local.instagram.recipient_settings import RECIPIENT_SETTINGS
from deploy.local.instagram.refusal import in_shape
from deploy.local.instagram.replies import ok, refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.stored_text import stored_text
from deploy.local.instagram.users import Account, User

#: The first bytes of every JPEG.
_JPEG = b"\xff\xd8\xff"


def send_text(state: State, account: Account, request: Request) -> Reply:
    """Send a text."""
    return _send(state, account, request, _draft(state, account, request, "text", "text"))


def send_link(state: State, account: Account, request: Request) -> Reply:
    """Send a text with links in it."""
    return _send(state, account, request, _draft(state, account, request, "link", "link_text"))


def send_photo(state: State, account: Account, request: Request) -> Reply:
    """Send an uploaded photo into an existing thread."""
    upload_id = str(request.form["attachment_fbid"])
    if "thread_ids" not in request.form or not state.uploads.has(account.user, upload_id):
        return refuse("bad_request")
    return _send(state, account, request, _draft(state, account, request, "photo", "text"))


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
    refusal = _comment_refusal(state, account, post, text)
    if refusal is not None:
        return refuse(refusal)
    shown = stored_text(text, state.behavior.text_style_of(account.username))
    draft = CommentDraft(shown, text, token, _audience(state, account, post))
    return ok(comment=views.comment(state.posts.comment(account.user, post, draft)))


def approve(state: State, account: Account, request: Request) -> Reply:
    """Accept a message request."""
    thread_id = request.params["thread_id"]
    conversation = state.messages.thread(int(thread_id)) if thread_id.isdigit() else None
    if conversation is None or account.user not in conversation.members:
        return refuse("thread_not_found")
    conversation.pending_for.discard(account.user.pk)
    return ok()


def _comment_refusal(state: State, account: Account, post: Post, text: str) -> str | None:
    setting = COMMENT_SETTINGS[post.comments]
    followed = state.relations.holds("follows", post.owner, account.user)
    if setting.refusal is not None and not (setting.followers_only and followed):
        return setting.refusal
    if state.relations.holds("blocks", post.owner, account.user):
        return "media_unavailable"
    return content_filters.refusal_for(state.content_filters, "comment", account.username, text)


def _audience(state: State, account: Account, post: Post) -> Audience:
    restricted = state.relations.holds("restricts", post.owner, account.user)
    return "author" if restricted else COMMENT_SETTINGS[post.comments].audience


def _draft(state: State, account: Account, request: Request, kind: str, text_field: str) -> Draft:
    form = request.form
    text = str(form.get(text_field, ""))
    return Draft(
        kind=kind,
        text=stored_text(text, state.behavior.text_style_of(account.username)),
        sent_text=text,
        client_context=str(form["client_context"]),
        links=tuple(json.loads(form.get("link_urls", "[]"))),
        attachment_id=form.get("attachment_fbid"),
    )


def _send(state: State, account: Account, request: Request, draft: Draft) -> Reply:
    refused = content_filters.refusal_for(
        state.content_filters, "dm", account.username, draft.sent_text
    )
    if refused is not None:
        return _refuse_dm(state, refused)
    if "thread_ids" in request.form:
        found = _thread_by_id(state, account.user, request.form)
    else:
        found = _thread_by_recipients(state, account.user, request.form)
    if isinstance(found, Reply):
        return found
    message = state.messages.store(account.user, found, draft)
    return ok(action="item_ack", status_code="200", payload=views.receipt(message))


def _refuse_dm(state: State, refusal: str) -> Reply:
    return in_shape(refuse(refusal), state.behavior.refusal_shape)


def _thread_by_id(state: State, sender: User, form: Json) -> Thread | Reply:
    (thread_id,) = json.loads(form["thread_ids"])
    found = state.messages.thread(int(thread_id))
    if found is None or sender not in found.members:
        return refuse("thread_not_found")
    refusal = _recipients_refusal(state, sender, found.others(sender))
    return found if refusal is None else _refuse_dm(state, refusal)


def _thread_by_recipients(state: State, sender: User, form: Json) -> Thread | Reply:
    (pks,) = json.loads(form["recipient_users"])
    recipients = [state.users.by_pk(int(pk)) for pk in pks]
    known = [user for user in recipients if user is not None]
    if not known or len(known) < len(pks):
        return refuse("invalid_target_user")
    refusal = _recipients_refusal(state, sender, known)
    if refusal is not None:
        return _refuse_dm(state, refusal)
    pending = {user.pk for user in known if _asks_first(state, sender, user)}
    return state.messages.open_between(sender, known, pending)


def _recipients_refusal(state: State, sender: User, recipients: list[User]) -> str | None:
    refusals = (_recipient_refusal(state, sender, user, recipients) for user in recipients)
    return next((refusal for refusal in refusals if refusal is not None), None)


def _recipient_refusal(
    state: State, sender: User, recipient: User, recipients: list[User]
) -> str | None:
    """The name of the refusal of a message to one of these recipients, or None."""
    if state.relations.holds("blocks", recipient, sender):
        return "dm_other_settings"
    thread = state.messages.between([sender, *recipients])
    pending = thread is not None and recipient.pk in thread.pending_for
    if pending and RECIPIENT_SETTINGS[recipient.profile.messages].one_message:
        return "dm_request_not_accepted"
    setting = recipient.profile.messages if recipient.profile.takes_requests else "no_requests"
    return recipient_settings.refusal_of(
        setting,
        followed=state.relations.holds("follows", recipient, sender),
        has_thread=thread is not None,
    )


def _asks_first(state: State, sender: User, recipient: User) -> bool:
    """Whether a first message to this recipient is a message request."""
    if state.relations.holds("restricts", recipient, sender):
        return True
    followed = state.relations.holds("follows", recipient, sender)
    return RECIPIENT_SETTINGS[recipient.profile.messages].pending and not followed
