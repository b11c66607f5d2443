"""The documentation of the webhooks' route, which reads its request by itself."""

from __future__ import annotations

from typing import Any, Final

from service.api.models.answer import shown_as
from service.api.models.events import SlackChallenge, WebhookReceipt

#: The headers of service/signatures/schemes.py, as their senders write them.
_SIGNATURE_HEADERS: Final = {
    "Stripe-Signature": "stripe",
    "webhook-id": "standard-webhooks; also `svix-id`",
    "webhook-timestamp": "standard-webhooks; also `svix-timestamp`",
    "webhook-signature": "standard-webhooks; also `svix-signature`",
    "X-Hub-Signature-256": "github",
    "X-Shopify-Hmac-Sha256": "shopify; also `Shopify-Hmac-Sha256`",
    "Paddle-Signature": "paddle",
    "X-Slack-Signature": "slack",
    "X-Slack-Request-Timestamp": "slack",
}


def _header(name: str, scheme: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": f"The signature, or a part of what it signs, of the scheme {scheme}",
        "schema": {"type": "string"},
    }


_OBJECT: Final = {"schema": {"type": "object", "additionalProperties": True}}

REQUEST: Final[dict[str, Any]] = {
    "parameters": [_header(name, scheme) for name, scheme in _SIGNATURE_HEADERS.items()],
    "requestBody": {
        "description": "The event as its sender writes and signs it, byte by byte",
        "required": True,
        "content": {"application/json": _OBJECT, "application/x-www-form-urlencoded": _OBJECT},
    },
}

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": WebhookReceipt | SlackChallenge,
        "description": "A duplicate, no rule matched, quarantined, or Slack's challenge answered",
    },
    202: {**shown_as(WebhookReceipt), "description": "Recorded, with its jobs"},
    400: {"description": "The signature is invalid (`invalid_signature`)"},
    404: {"description": "There is no such source (`unknown_source`)"},
    408: {"description": "The body arrived too slowly"},
    413: {"description": "The body is too large"},
    415: {"description": "The body has a Content-Encoding"},
    503: {"description": "Not acknowledged: send it again; the message says what is certain"},
}
