"""What identifies an event, for each scheme: its id, its type, and how else it is recognized."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.events.form_bodies import Body
from service.events.strict_json import canonical
from service.jobs.model import ONLY_BY_ID, Recognition, derived_id
from service.signatures.schemes import SHOPIFY_FAMILIES, Headers, standard_webhooks_family

MAX_NAME_LENGTH: Final = 255

#: Where senders of Standard Webhooks put the type: `type` in the specification, `event_type` at
#: Brex, `eventType` where Svix's own API is copied, `event` at Recall.ai.
TYPE_KEYS: Final = ("type", "event_type", "eventType", "event")
#: The type of an event whose sender names none; only a rule for `*` matches it.
UNTYPED: Final = ""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_Document = Mapping[str, Any]


class Identity(NamedTuple):
    """What the sender calls an event; the values are not checked yet.

    Parameters:
      id: The same for every delivery of one event.
      type: What happened.
      recognition: By what else it is recognized.
    """

    id: object
    type: object
    recognition: Recognition = ONLY_BY_ID


def identify(scheme: str, body: Body, headers: Headers, type_path: Sequence[str]) -> Identity:
    """Find what identifies an event.

    Parameters:
      scheme: One of `signatures.verify.SCHEMES`.
      body: The decoded body.
      headers: Raw pairs, names in lower case.
      type_path: Keys that lead to the type of a Standard Webhooks event; none for the usual ones.
    """
    if scheme == "standard-webhooks":
        return _standard_identity(body.document, headers, type_path)
    return _IDENTITIES[scheme](body, headers)


def is_name(value: object) -> bool:
    """Whether a value can be an id or a type: some printable text of a sane length."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_LENGTH
        and not value.isspace()
        and not _CONTROL.search(value)
    )


def slack_challenge(body: _Document) -> str | None:
    """Return the challenge to echo when Slack verifies a URL; None for any other body."""
    challenge = body.get("challenge")
    if body.get("type") != "url_verification" or not isinstance(challenge, str):
        return None
    return challenge if 0 < len(challenge) <= MAX_NAME_LENGTH else None


def digest(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def _header(headers: Headers, name: bytes) -> str | None:
    values = [value for key, value in headers if key == name]
    return values[0].decode() if len(values) == 1 and values[0].isascii() else None


def _id_with_body_hash(delivery: str | None, body_digest: str) -> str | None:
    # The id header is not signed: on its own, a captured id could suppress another event.
    return f"{delivery}.{body_digest[:16]}" if delivery and delivery.strip() else None


def _stripe_identity(body: Body, _headers: Headers) -> Identity:
    document = body.document
    event_id = document.get("id")
    if document.get("object") != "v2.core.event":
        version = document.get("api_version")
        shape = f"event:{version}" if is_name(version) else "event"
        return Identity(event_id, document.get("type"), Recognition(shape))
    # The thin version of a snapshot event has an id of its own and names the snapshot's
    # (https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events).
    snapshot = document.get("snapshot_event")
    event_id = snapshot if is_name(snapshot) else event_id
    return Identity(event_id, document.get("type"), Recognition("thin"))


def _paddle_identity(body: Body, _headers: Headers) -> Identity:
    document = body.document
    # One event makes a notification for each destination: `event_id` is the same in all of them.
    ids = (document.get(key) for key in ("event_id", "notification_id"))
    return Identity(next(filter(is_name, ids), None), document.get("event_type"))


def _standard_identity(document: _Document, headers: Headers, type_path: Sequence[str]) -> Identity:
    family = standard_webhooks_family(headers)
    paths = [type_path] if type_path else [(key,) for key in TYPE_KEYS]
    named = (_value_at(document, path) for path in paths)
    event_type = next((value for value in named if is_name(value)), UNTYPED)
    return Identity(family and _header(headers, family + b"id"), event_type)


def _value_at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _github_identity(body: Body, headers: Headers) -> Identity:
    body_digest = digest(body.content)
    return Identity(
        _id_with_body_hash(_header(headers, b"x-github-delivery"), body_digest),
        _header(headers, b"x-github-event"),
        Recognition(body_key=body_digest[:32]),
    )


def _shopify_identity(body: Body, headers: Headers) -> Identity:
    body_digest = digest(body.content)
    topic, event_id = _shopify_header(headers, b"topic"), _shopify_header(headers, b"event-id")
    # Each subscription sends an event under a webhook id of its own, but with one event id
    # (https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates).
    event_key = derived_id("event", event_id, topic) if event_id and topic else None
    return Identity(
        _id_with_body_hash(_shopify_header(headers, b"webhook-id") or event_id, body_digest),
        topic,
        Recognition(event_key=event_key, body_key=body_digest[:32]),
    )


def _shopify_header(headers: Headers, name: bytes) -> str | None:
    return next(
        filter(None, (_header(headers, family + name) for family in SHOPIFY_FAMILIES)), None
    )


def _slack_identity(body: Body, _headers: Headers) -> Identity:
    document = body.document
    kind = document.get("type")
    if slack_challenge(document) is not None:  # it has no id, but is answered
        return Identity(_id_with_body_hash("url_verification", digest(body.content)), kind)
    if kind == "event_callback":
        event = document.get("event")
        kind = event.get("type") if isinstance(event, dict) else None
        return Identity(document.get("event_id"), kind)
    if body.is_form and kind is None:
        kind = document.get("command") or ("ssl_check" if "ssl_check" in document else None)
    return Identity(_slack_id(document, kind), kind)


def _slack_id(document: _Document, kind: object) -> object:
    """Return the id of what is not an Events API callback: most of it has no `event_id`."""
    if "event_id" in document or kind == "url_verification":
        return document.get("event_id")
    trigger = document.get("trigger_id")
    return trigger if is_name(trigger) else f"slack.{digest(canonical(document))[:32]}"


_IDENTITIES: Final[Mapping[str, Callable[[Body, Headers], Identity]]] = {
    "stripe": _stripe_identity,
    "github": _github_identity,
    "shopify": _shopify_identity,
    "paddle": _paddle_identity,
    "slack": _slack_identity,
}
