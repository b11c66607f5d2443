"""Signs webhooks as each provider does, according to the provider's documentation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

#: Secrets in each provider's format.
SECRETS: Mapping[str, str] = {
    "stripe": "whsec_4f1c2b0e9d8a7f6e5d4c3b2a19081706",
    "standard-webhooks": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "github": "a github secret, any text",
    "shopify": "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",
    "paddle": "pdl_ntfset_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
    "slack": "8f742231b10e8888abcd99e5e5ze5a51",
}


def signed_headers(
    scheme: str,
    body: bytes,
    secret: str,
    *,
    timestamp: int | None = None,
    event_id: str = "evt_1",
    event_type: str = "checkout.session.completed",
) -> dict[str, str]:
    """Sign a body as the provider does.

    Parameters:
      timestamp: Unix seconds; None for now. GitHub and Shopify sign no timestamp.
      event_id: for the schemes that carry it in a header.
      event_type: likewise.
    """
    sent_at = int(time.time()) if timestamp is None else timestamp
    return _SENDERS[scheme](body, secret, sent_at, event_id, event_type)


def raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers in ASGI form."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _stripe(body: bytes, secret: str, sent_at: int, _id: str, _type: str) -> dict[str, str]:
    mac = _mac(secret.encode(), f"{sent_at}.".encode() + body).hex()
    return {"Stripe-Signature": f"t={sent_at},v1={mac},v0={'0' * 64}"}


def _standard(body: bytes, secret: str, sent_at: int, event_id: str, _type: str) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = _mac(key, f"{event_id}.{sent_at}.".encode() + body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def _github(body: bytes, secret: str, _at: int, event_id: str, event_type: str) -> dict[str, str]:
    return {
        "X-GitHub-Delivery": event_id,
        "X-GitHub-Event": event_type,
        "X-Hub-Signature-256": f"sha256={_mac(secret.encode(), body).hex()}",
    }


def _shopify(body: bytes, secret: str, _at: int, event_id: str, event_type: str) -> dict[str, str]:
    return {
        "X-Shopify-Webhook-Id": event_id,
        "X-Shopify-Topic": event_type,
        "X-Shopify-Hmac-Sha256": base64.b64encode(_mac(secret.encode(), body)).decode(),
    }


def _paddle(body: bytes, secret: str, sent_at: int, _id: str, _type: str) -> dict[str, str]:
    mac = _mac(secret.encode(), f"{sent_at}:".encode() + body).hex()
    return {"Paddle-Signature": f"ts={sent_at};h1={mac}"}


def _slack(body: bytes, secret: str, sent_at: int, _id: str, _type: str) -> dict[str, str]:
    mac = _mac(secret.encode(), f"v0:{sent_at}:".encode() + body).hex()
    return {"X-Slack-Request-Timestamp": str(sent_at), "X-Slack-Signature": f"v0={mac}"}


_SENDERS: Mapping[str, Callable[[bytes, str, int, str, str], dict[str, str]]] = {
    "stripe": _stripe,
    "standard-webhooks": _standard,
    "github": _github,
    "shopify": _shopify,
    "paddle": _paddle,
    "slack": _slack,
}
