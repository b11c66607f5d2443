"""Signed events, and the inbound code's verdict on them in one word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from service.events.parsing import InvalidEvent, ParsedEvent, parse
from service.signatures.verify import Headers, SignatureRejected, verify
from tests.support.webhook_signatures import SECRETS, raw_headers, signed_headers

NOW: Final = 1_700_000_000
BODY: Final = b'{"id": "evt_1", "type": "checkout.session.completed"}'

STRIPE_EVENT: Final[dict[str, Any]] = {
    "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
    "object": "event",
    "created": 1686089970,
    "livemode": False,
    "pending_webhooks": 1,
    "type": "checkout.session.completed",
    "data": {"object": {"id": "cs_test_1", "payment_status": "paid", "amount_total": 2000}},
}
THIN_EVENT: Final[dict[str, Any]] = {
    "id": "evt_test_65R9Ijk8dKEYZcXeRWn16R9A7j1FSQ3w3TGDPLLGSM4CW0",
    "object": "v2.core.event",
    "type": "v1.billing.meter.error_report_triggered",
    "livemode": True,
    "related_object": {"id": "mtr_1", "type": "billing.meter"},
}
SLACK_EVENT: Final[dict[str, Any]] = {
    "type": "event_callback",
    "event_id": "Ev08MFMKH6",
    "event": {"type": "app_mention", "text": "hi"},
}
GOOD: Final[dict[str, dict[str, Any]]] = {
    "stripe": STRIPE_EVENT,
    "standard-webhooks": {"type": "user.created", "data": {"id": "user_1"}},
    "github": {"action": "opened", "issue": {"number": 7}},
    "shopify": {"id": 820982911946154508, "email": "jon@example.com"},
    "paddle": {"event_id": "evt_01", "event_type": "transaction.completed", "data": {"id": "t"}},
    "slack": SLACK_EVENT,
}


def signed(scheme: str, body: bytes = BODY, *, at: int = NOW) -> list[tuple[bytes, bytes]]:
    """A body's signed headers, in ASGI form."""
    return raw_headers(signed_headers(scheme, body, SECRETS[scheme], timestamp=at))


def rejection_reason(
    scheme: str,
    headers: Headers,
    *,
    body: bytes = BODY,
    secrets: Sequence[str] | None = None,
    now: float = NOW,
) -> str | None:
    """Why the signature is rejected; None if it is accepted."""
    try:
        verify(scheme, body, headers, [SECRETS[scheme]] if secrets is None else secrets, now)
    except SignatureRejected as rejected:
        return rejected.reason
    return None


def dump(document: object) -> bytes:
    """A document as a JSON body."""
    return json.dumps(document).encode()


def signed_now(
    scheme: str, body: bytes, event_id: str = "dlv-1", event_type: str = "issues"
) -> list[tuple[bytes, bytes]]:
    """A body's headers, signed now, in ASGI form."""
    made = signed_headers(scheme, body, SECRETS[scheme], event_id=event_id, event_type=event_type)
    return raw_headers(made)


def parse_signed(scheme: str, document: object, headers: Headers | None = None) -> ParsedEvent:
    """Parse a document as an event; with its own signed headers unless others are given."""
    body = dump(document)
    return parse(scheme, body, signed_now(scheme, body) if headers is None else headers)


def parse_error(scheme: str, document: object, headers: Headers | None = None) -> str | None:
    """Why the document is invalid; None if it is an event."""
    try:
        parse_signed(scheme, document, headers)
    except InvalidEvent as invalid:
        return invalid.reason
    return None
