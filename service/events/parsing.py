"""Parses a verified webhook: the event's identity, type and object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from service.events.form_bodies import Body, read_body
from service.events.identities import (
    MAX_NAME_LENGTH,
    UNTYPED,
    digest,
    identify,
    is_name,
    slack_challenge,
)
from service.events.strict_json import InvalidEvent, canonical
from service.jobs.model import ONLY_BY_ID, Recognition
from service.signatures.schemes import Headers

__all__ = [
    "MAX_NAME_LENGTH",
    "InvalidEvent",
    "ParsedEvent",
    "parse",
    "parse_stored",
    "slack_challenge",
]

#: Their ids are not signed, so that the whole body is part of the identity.
ONLY_BODY_SIGNED: Final = frozenset({"github", "shopify"})

_Document = dict[str, Any]


@dataclass(frozen=True)
class ParsedEvent:
    """One event.

    Parameters:
      id: The same for every delivery of one event.
      type: What happened, in the sender's terms; empty if a Standard Webhooks sender says nothing.
      body: The whole document.
      object: What the event is about: for Stripe `data.object`, or `related_object` of a thin
        event; else `data` if present, else the body.
      livemode: Stripe's; None if the body has none.
      fingerprint: Hex SHA-256 of what must not change between deliveries of one id.
      recognition: How the event is recognized under another id or in another shape.
      is_form: Whether it came as a form.
    """

    id: str
    type: str
    body: _Document = field(repr=False)
    object: Any = field(repr=False)
    livemode: bool | None
    fingerprint: str
    recognition: Recognition = ONLY_BY_ID
    is_form: bool = False


def parse(scheme: str, body: bytes, headers: Headers, type_path: Sequence[str] = ()) -> ParsedEvent:
    """Parse a webhook whose signature has been verified.

    Parameters:
      scheme: One of `signatures.verify.SCHEMES`.
      body: The raw bytes.
      headers: Raw pairs, names in lower case.
      type_path: Keys that lead to the type, if a Standard Webhooks sender has it elsewhere.

    Raises:
      InvalidEvent: The body is not strict JSON, or has no usable event identity.
    """
    read = read_body(scheme, body, headers)
    identity = identify(scheme, read, headers, type_path)
    untyped = scheme == "standard-webhooks" and identity.type == UNTYPED
    if not is_name(identity.id) or not (untyped or is_name(identity.type)):
        raise InvalidEvent("no_identity")
    return _event(scheme, str(identity.id), str(identity.type), read, identity.recognition)


def parse_stored(scheme: str, event_id: str, event_type: str, body: bytes) -> ParsedEvent:
    """Parse the stored body of an event whose identity is known.

    Parameters:
      scheme: One of `signatures.verify.SCHEMES`.
      event_id: As recorded.
      event_type: As recorded.
      body: The raw bytes, as accepted.
    """
    return _event(scheme, event_id, event_type, read_body(scheme, body, None), ONLY_BY_ID)


def _event(
    scheme: str, event_id: str, event_type: str, read: Body, recognition: Recognition
) -> ParsedEvent:
    livemode = read.document.get("livemode")
    if read.document.get("data") is None and scheme not in ONLY_BODY_SIGNED:
        # What releases up to 0.2.0 recorded.
        recognition = recognition._replace(raw_fingerprint=digest(read.content))
    return ParsedEvent(
        id=event_id,
        type=event_type,
        body=read.document,
        object=_event_object(scheme, read.document),
        livemode=livemode if isinstance(livemode, bool) else None,
        fingerprint=_fingerprint(scheme, read),
        recognition=recognition,
        is_form=read.is_form,
    )


def _event_object(scheme: str, document: _Document) -> Any:
    data = document.get("data")
    if scheme == "stripe":
        data = data.get("object") if isinstance(data, dict) else None
        related = document.get("related_object")
        data = related if data is None and isinstance(related, dict) else data
    return document if data is None else data


def _fingerprint(scheme: str, read: Body) -> str:
    if scheme in ONLY_BODY_SIGNED:
        return digest(read.content)
    # Only `data` if present, because Stripe's retries differ in `pending_webhooks`.
    data = read.document.get("data")
    return digest(canonical(read.document if data is None else data))
