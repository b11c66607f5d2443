"""Authentic webhooks are stored and answered 2xx, valid or not: a retry would not help."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.web import WebHarness, order

_STRIPE = '{"id": "evt_1", "type": "order.paid", %s}'
USELESS: Mapping[str, tuple[str, bytes]] = {
    "not utf-8": ("not_utf8", b'{"id": "evt_\xff"}'),
    "not json": ("not_json", b"id=evt_1&type=order.paid"),
    "empty": ("not_json", b""),
    "byte order mark": ("not_json", b"\xef\xbb\xbf{}"),
    "a list": ("not_object", b"[]"),
    "null": ("not_object", b"null"),
    "a number": ("not_object", b"1"),
    "a string": ("not_object", b'"evt_1"'),
    "deep": ("too_deep", b'{"a":' + b"[" * 400 + b"]" * 400 + b"}"),
    "deeper than any stack": ("too_deep", b"[" * 60_000),
    "huge integer": ("huge_number", _STRIPE.replace("%s", f'"n": {"9" * 5000}').encode()),
    "infinite": ("not_finite", _STRIPE.replace("%s", '"n": 1e999').encode()),
    "NaN": ("not_finite", _STRIPE.replace("%s", '"n": NaN').encode()),
    "duplicate key": ("duplicate_key", _STRIPE.replace("%s", '"id": "evt_2"').encode()),
    "half a pair": ("lone_surrogate", _STRIPE.replace("%s", '"n": "\\ud800"').encode()),
}
NAMELESS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    "stripe": ({"type": "order.paid"}, {}),
    "paddle": ({"event_type": "order.paid"}, {}),
    "slack": ({"type": "event_callback", "event": {"type": "order.paid"}}, {}),
    "github": ({"n": 1}, {"X-GitHub-Event": ""}),
    "shopify": ({"n": 1}, {"X-Shopify-Topic": ""}),
}


@pytest.mark.parametrize("scheme", ["stripe", "github", "standard-webhooks", "slack"])
@pytest.mark.parametrize(("reason", "body"), USELESS.values(), ids=USELESS.keys())
def test_an_authentic_but_invalid_body_is_quarantined_by_its_hash(
    web: WebHarness, scheme: str, reason: str, body: bytes
) -> None:
    # When
    response = web.deliver(scheme, body)

    # Then
    assert response.status_code == 200
    assert response.json() == {
        "event_id": None,
        "quarantined": True,
        "duplicate": False,
        "jobs": [],
    }
    (kept,) = web.api.get("/events").json()["items"]
    assert kept["id"] == f"quarantine_{hashlib.sha256(body).hexdigest()[:32]}"
    assert (kept["status"], kept["type"], kept["jobs"]) == ("quarantined", reason, [])
    assert web.api.get("/jobs").json()["items"] == []
    shown = web.api.get(f"/events/{kept['id']}").json()["body"]
    assert shown == body.decode("utf-8", "backslashreplace")


def test_an_invalid_body_sent_again_is_stored_once(web: WebHarness) -> None:
    web.deliver("stripe", b"[]")
    again = web.deliver("stripe", b"[]")
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert len(web.api.get("/events").json()["items"]) == 1


@pytest.mark.parametrize(("scheme", "case"), NAMELESS.items(), ids=NAMELESS.keys())
def test_an_event_without_an_identity_is_quarantined(
    web: WebHarness, scheme: str, case: tuple[dict[str, Any], dict[str, str]]
) -> None:
    document, headers = case
    response = web.deliver(scheme, json.dumps(document).encode(), headers=headers)
    assert (response.status_code, response.json()["quarantined"]) == (200, True)
    (kept,) = web.api.get("/events").json()["items"]
    assert kept["type"] == "no_identity"


def test_a_standard_webhook_without_a_type_is_kept_under_its_own_id(web: WebHarness) -> None:
    response = web.deliver("standard-webhooks", b'{"n": 1}', event_id="msg_1")
    assert response.json() == {"event_id": "msg_1", "duplicate": False, "jobs": []}
    assert web.api.get("/events/msg_1").json()["type"] == ""


@pytest.mark.parametrize("name", ["", "  ", 7, None, "x" * 256, "a\u0000b", "a\nb", ["evt"]])
def test_an_invalid_event_id_is_quarantined(web: WebHarness, name: object) -> None:
    response = web.deliver("stripe", json.dumps({"id": name, "type": "order.paid"}).encode())
    assert (response.status_code, response.json()["quarantined"]) == (200, True)


@pytest.mark.parametrize(
    "document",
    [
        {"id": "evt_1", "type": "something.never.heard.of", "data": {"object": {}}},
        {"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error"},
        {"id": "evt_1", "type": "checkout.session.completed"},
        {"id": "evt_1", "type": "checkout.session.completed", "data": None},
        {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": []}},
        {"id": "evt_1", "type": "checkout.session.completed", "data": [1]},
    ],
    ids=["unknown type", "thin", "no data", "null data", "a list", "data a list"],
)
def test_an_event_without_a_matching_rule_is_stored_without_a_job(
    web: WebHarness, document: dict[str, Any]
) -> None:
    response = web.deliver("stripe", json.dumps(document).encode())
    assert (response.status_code, response.json()) == (
        200,
        {"event_id": "evt_1", "duplicate": False, "jobs": []},
    )
    (kept,) = web.api.get("/events").json()["items"]
    assert kept["status"] == "accepted"


@pytest.mark.parametrize("livemode", [{"livemode": False}, {}, {"livemode": "true"}])
def test_an_event_of_the_other_livemode_is_recorded_and_ignored(
    web: WebHarness, livemode: dict[str, Any]
) -> None:
    response = web.deliver("stripe", order("stripe", **livemode), source="live")
    assert (response.status_code, response.json()["jobs"]) == (200, [])
    (kept,) = web.api.get("/events").json()["items"]
    assert (kept["status"], kept["source"]) == ("ignored", "live")


def test_an_event_of_the_right_livemode_creates_its_job(web: WebHarness) -> None:
    response = web.deliver("stripe", order("stripe", livemode=True), source="live")
    assert response.status_code == 202


@pytest.mark.parametrize("kind", [b"text/plain", b"multipart/form-data", b"a/b; c=\xe9", b"\xff"])
def test_an_odd_content_type_is_harmless(web: WebHarness, kind: bytes) -> None:
    response = web.deliver("stripe", order("stripe"), headers={"Content-Type": kind})
    assert response.status_code == 202


def test_the_identity_encoding_is_accepted(web: WebHarness) -> None:
    response = web.deliver("stripe", order("stripe"), headers={"Content-Encoding": "identity"})
    assert response.status_code == 202


def test_a_trailing_slash_is_served_and_never_redirected(web: WebHarness) -> None:
    response = web.deliver("stripe", order("stripe"), source="stripe/")
    assert response.status_code == 202
