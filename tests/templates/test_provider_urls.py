"""Which URLs of an event the provider made."""

from __future__ import annotations

from typing import Any

import pytest

from service.templates.provider_urls import provider_urls

URL = "https://provider.example/x?a=1#b"


@pytest.mark.parametrize(
    "event",
    [
        {"data": {"object": {"url": URL}}},  # Stripe's Checkout session
        {"data": {"object": {"hosted_invoice_url": URL}}},
        {"data": {"object": {"invoice_pdf": URL}}},
        {"data": {"object": {"charges": {"data": [{"receipt_url": URL}]}}}},
        {"issue": {"html_url": URL}},  # GitHub
        {"pull_request": {"_links": {"html": {"href": URL}}}},
        {"order_status_url": URL},  # Shopify
        {"data": {"management_urls": {"update_payment_method": URL}}},  # Paddle
        {"data": {"attributes": {"urls": {"receipt": URL}}}},  # Lemon Squeezy
        {"event": {"files": [{"url_private": URL, "permalink": 1}]}},  # Slack
        {"data": {"downloadUrl": URL}},
    ],
)
def test_a_url_under_a_providers_key_is_the_providers(event: dict[str, Any]) -> None:
    assert list(provider_urls(event)) == [URL]


@pytest.mark.parametrize(
    "event",
    [
        {"metadata": {"receipt_url": URL}},
        {"user_metadata": {"a": {"url": URL}}},
        {"custom_data": {"url": URL}},
        {"custom_fields": [{"key": "url", "text": {"value": URL}, "url": URL}]},
        {"note_attributes": [{"name": "url", "value": URL, "url": URL}]},
        {"line_items": [{"properties": [{"name": "x", "url": URL}]}]},
        {"note_url": URL, "metadata_url": URL},
        {"customer": {"url": URL}},
        {"customer_details": {"address": {"url": URL}}},
        {"business_profile": {"url": URL, "support_url": URL}},
        {"user": {"website_url": URL}, "homepage_url": URL, "referring_site_url": URL},
        {"deployment_status": {"target_url": URL, "environment_url": URL}},
        {"note": URL, "description": URL, "name": URL, "link_text": URL},
        {"url": f"see {URL}"},
        {"url": f"{URL} and more"},
        {"url": "https://provider.example@evil.example/"},
        {"url": "javascript:alert(1)"},
        {"url": 7},
    ],
)
def test_any_other_url_may_have_been_typed(event: dict[str, Any]) -> None:
    assert list(provider_urls(event)) == []


@pytest.mark.parametrize("event", [None, "https://x.example", 7, [], {}])
def test_an_event_of_any_type_is_searched(event: Any) -> None:
    assert list(provider_urls(event)) == []
