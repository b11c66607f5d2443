"""Parses a verified webhook: the event's identity, type and object."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.events.strict_json import InvalidEvent, canonical, decode
from service.signatures.schemes import Headers, standard_webhooks_family

__all__ = ["InvalidEvent", "ParsedEvent", "parse", "slack_challenge"]

MAX_NAME_LENGTH: Final = 255

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_Document = dict[str, Any]


@dataclass(frozen=True)
class ParsedEvent:
    """One event.

    Parameters:
      id: The same for every delivery of one event.
      type: What happened, in the sender's terms.
      body: The whole JSON document.
      object: What the event is about: `data.object` for Stripe, else `data` if present, else body.
      livemode: Stripe's; None if the body has none.
      fingerprint: Hex SHA-256 of what must not change between deliveries of one id.
    """

    id: str
    type: str
    body: _Document = field(repr=False)
    object: Any = field(repr=False)
    livemode: bool | None
    fingerprint: str


def parse(scheme: str, body: bytes, headers: Headers) -> ParsedEvent:
    """Parse a webhook whose signature has been verified.

    Parameters:
      scheme: One of `signatures.verify.SCHEMES`.
      body: The raw bytes.
      headers: Raw pairs, names in lower case.

    Raises:
      InvalidEvent: The body is not strict JSON, or has no usable event identity.
    """
    document = decode(body)
    event_id, event_type = _IDENTITIES[scheme](document, headers, body)
    livemode = document.get("livemode")
    return ParsedEvent(
        id=_identifier(event_id),
        type=_identifier(event_type),
        body=document,
        object=_event_object(scheme, document),
        livemode=livemode if isinstance(livemode, bool) else None,
        fingerprint=_fingerprint(scheme, document, body),
    )


def slack_challenge(body: Mapping[str, Any]) -> str | None:
    """Return the challenge to echo when Slack verifies a URL; None for any other body."""
    challenge = body.get("challenge")
    if body.get("type") != "url_verification" or not isinstance(challenge, str):
        return None
    return challenge if 0 < len(challenge) <= MAX_NAME_LENGTH else None


def _identifier(value: object) -> str:
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > MAX_NAME_LENGTH
        or _CONTROL.search(value)
    ):
        raise InvalidEvent("no_identity")
    return value


def _header(headers: Headers, name: bytes) -> str | None:
    values = [value for key, value in headers if key == name]
    return values[0].decode() if len(values) == 1 and values[0].isascii() else None


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _id_with_body_hash(delivery: str | None, body: bytes) -> str | None:
    # The id header is not signed: on its own, a captured id could suppress another event.
    return f"{delivery}.{_digest(body)[:16]}" if delivery and delivery.strip() else None


_Identity = tuple[object, object]


def _stripe_identity(document: _Document, _headers: Headers, _body: bytes) -> _Identity:
    return document.get("id"), document.get("type")


def _paddle_identity(document: _Document, _headers: Headers, _body: bytes) -> _Identity:
    return document.get("event_id"), document.get("event_type")


def _standard_identity(document: _Document, headers: Headers, _body: bytes) -> _Identity:
    family = standard_webhooks_family(headers)
    return family and _header(headers, family + b"id"), document.get("type")


def _github_identity(_document: _Document, headers: Headers, body: bytes) -> _Identity:
    delivery = _header(headers, b"x-github-delivery")
    return _id_with_body_hash(delivery, body), _header(headers, b"x-github-event")


def _shopify_identity(_document: _Document, headers: Headers, body: bytes) -> _Identity:
    delivery = _header(headers, b"x-shopify-webhook-id") or _header(headers, b"x-shopify-event-id")
    return _id_with_body_hash(delivery, body), _header(headers, b"x-shopify-topic")


def _slack_identity(document: _Document, _headers: Headers, body: bytes) -> _Identity:
    kind = document.get("type")
    if slack_challenge(document) is not None:  # it has no id, but is answered
        return _id_with_body_hash("url_verification", body), kind
    event = document.get("event")
    if kind == "event_callback":
        kind = event.get("type") if isinstance(event, dict) else None
    return document.get("event_id"), kind


_IDENTITIES: Final[Mapping[str, Callable[[_Document, Headers, bytes], _Identity]]] = {
    "stripe": _stripe_identity,
    "standard-webhooks": _standard_identity,
    "github": _github_identity,
    "shopify": _shopify_identity,
    "paddle": _paddle_identity,
    "slack": _slack_identity,
}


def _event_object(scheme: str, document: _Document) -> Any:
    data = document.get("data")
    if scheme == "stripe":
        data = data.get("object") if isinstance(data, dict) else None
    return document if data is None else data


def _fingerprint(scheme: str, document: _Document, body: bytes) -> str:
    # Only `data` if present, because Stripe's retries differ in `pending_webhooks`. If the body is
    # part of the identity, the whole body must not change.
    data = document.get("data")
    if data is None or scheme in ("github", "shopify"):
        return _digest(body)
    return _digest(canonical(data))


def parse_stored(scheme: str, event_id: str, event_type: str, body: bytes) -> ParsedEvent:
    """Parse the stored body of an event whose identity is known.

    Parameters:
      scheme: One of `signatures.verify.SCHEMES`.
      event_id: As recorded.
      event_type: As recorded.
      body: The raw bytes, as accepted.
    """
    document = decode(body)
    livemode = document.get("livemode")
    return ParsedEvent(
        id=event_id,
        type=event_type,
        body=document,
        object=_event_object(scheme, document),
        livemode=livemode if isinstance(livemode, bool) else None,
        fingerprint=_fingerprint(scheme, document, body),
    )
