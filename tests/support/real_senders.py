"""Sources for real senders, and their deliveries signed and sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from tests.support.real_deliveries import Delivery
from tests.support.web import WebHarness
from tests.support.webhook_signatures import SECRETS, signed_headers

#: The source, its scheme and secret, and more keys of its table.
SOURCES: Final[Mapping[str, tuple[str, str, str]]] = {
    **{scheme: (scheme, secret, "") for scheme, secret in SECRETS.items()},
    # Polar signs with the text of the secrets that it made before following the specification
    # (server/polar/webhook/tasks.py of polarsource/polar).
    "polar": ("standard-webhooks", "polar_whs_Wn8vGqkVp1zZ0yXtTqLr5sUe", ""),
    "supabase": ("standard-webhooks", "v1,whsec_dGVzdC1zZWNyZXQtZm9yLWNhbXB1cw==", ""),
    "loops": ("standard-webhooks", SECRETS["standard-webhooks"], 'type = "eventName"'),
    "nested": ("standard-webhooks", SECRETS["standard-webhooks"], 'type = "event.type"'),
    "shopify-events": ("shopify", SECRETS["shopify"], ""),
    "shopify-events-both": ("shopify", SECRETS["shopify"], ""),
}

#: What a sender signs with, as the specification writes secrets, where the source's differs.
_SIGNERS: Final[Mapping[str, str]] = {
    "polar": "whsec_cG9sYXJfd2hzX1duOHZHcWtWcDF6WjB5WHRUcUxyNXNVZQ==",
    "supabase": "whsec_dGVzdC1zZWNyZXQtZm9yLWNhbXB1cw==",
}

_SOURCE: Final = """
[sources.{name}]
scheme = "{scheme}"
secrets = ["{secret}"]
{more}

[[rules]]
name = "every-{name}"
source = "{name}"
event = "*"
action = "dm"
account = "shop"
to = "some.handle"
text = "About {{{{ object.id | default('it') if object is mapping else 'it' }}}}."
"""

CONFIG: Final = """
[accounts.shop]
username = "env:INSTAGRAM_USERNAME"
password = "env:INSTAGRAM_PASSWORD"
""" + "".join(
    _SOURCE.format(name=name, scheme=scheme, secret=secret, more=more)
    for name, (scheme, secret, more) in SOURCES.items()
)


def send(web: WebHarness, delivery: Delivery, **changes: str) -> httpx.Response:
    """Sign a delivery as its sender does, now, and send it.

    Parameters:
      changes: Other values of the headers, with `_` for `-`.
    """
    source = delivery.source or delivery.scheme
    headers = {**_signed(delivery), **delivery.headers}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lower = {name.lower(): value for name, value in headers.items()}
    return web.http.post(f"/webhooks/{source}", content=delivery.body, headers=lower)


def _signed(delivery: Delivery) -> dict[str, str]:
    scheme, secret, _ = SOURCES[delivery.source or delivery.scheme]
    signer = _SIGNERS.get(delivery.source, secret)
    headers = signed_headers(
        scheme, delivery.body, signer, event_id=delivery.event_id, event_type=delivery.type
    )
    if not delivery.source.startswith("shopify-events"):
        return headers
    bare = {name.replace("X-", ""): value for name, value in headers.items()}
    bare["Shopify-Event-Id"] = bare.pop("Shopify-Webhook-Id")
    return bare if delivery.source == "shopify-events" else {**headers, **bare}
