"""Deliveries of GitHub, Shopify, Paddle and Slack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from tests.support.real_deliveries import FORM, Delivery, as_form, as_json

_GITHUB: Final = "payload-examples of octokit/webhooks"
_GITHUB_FORM: Final = (
    "https://docs.github.com/webhooks/using-webhooks/creating-webhooks, content type"
)
_UNSIGNED: Final = "not seen, but possible: nobody signs the content type"
_SHOPIFY: Final = "https://shopify.dev/docs/apps/build/webhooks#headers"
_SHOPIFY_HEADERS: Final = ".changeset/nice-comics-accept.md of Shopify/shopify-app-js"
_SHOPIFY_EVENTS: Final = "packages/apps/shopify-api/lib/types.ts of Shopify/shopify-app-js"
_PADDLE: Final = "https://developer.paddle.com/webhooks/overview"
_SLACK: Final = "https://docs.slack.dev"
_PING: Final = {"zen": "Design for failure.", "hook_id": 1, "hook": {"type": "Repository", "id": 1}}
_STAR: Final = {"action": "created", "starred_at": "2019-05-15T15:20:40Z", "sender": {"id": 2}}
_ISSUE: Final = {"action": "opened", "issue": {"number": 1, "title": "Ein Käfer & so = 100 % +1"}}


def _github(name: str, seen: str, body: bytes, kind: str, content_type: str) -> Delivery:
    return Delivery(name, seen, "github", body, kind, None, headers={"Content-Type": content_type})


GITHUB: Final = (
    _github("ping", _GITHUB, as_json(_PING), "ping", "application/json"),
    _github("star", _GITHUB, as_json(_STAR), "star", "application/json"),
    _github("issue", _GITHUB, as_json(_ISSUE), "issues", "application/json"),
    _github("ping as form", _GITHUB_FORM, as_form(_PING), "ping", FORM),
    _github("star as form", _GITHUB_FORM, as_form(_STAR), "star", FORM),
    _github("issue as form", _GITHUB_FORM, as_form(_ISSUE), "issues", f"{FORM}; charset=utf-8"),
    _github("form called text", _UNSIGNED, as_form(_STAR), "star", "text/plain"),
    _github("JSON called a form", _UNSIGNED, as_json(_STAR), "star", FORM),
    _github(
        "form called JSON",
        _UNSIGNED,
        as_form(_ISSUE),
        "issues",
        "application/json",
    ),
)

_ORDER: Final = {"id": 820982911946154508, "email": "jon@example.com", "note_attributes": []}


def _shopify(name: str, seen: str, headers: Mapping[str, str], topic: str) -> Delivery:
    return Delivery(
        name, seen, "shopify", as_json(_ORDER), topic, _ORDER["id"], "b54557e4", headers=headers
    )


SHOPIFY: Final = (
    _shopify(
        "webhook",
        _SHOPIFY,
        {
            "X-Shopify-Event-Id": "98880550",
            "X-Shopify-Shop-Domain": "shop.myshopify.com",
            "X-Shopify-API-Version": "2025-01",
        },
        "orders/paid",
    ),
    _shopify("webhook without event id", _SHOPIFY_HEADERS, {}, "orders/create"),
    _shopify(
        "webhook with sub topic",
        _SHOPIFY,
        {"X-Shopify-Sub-Topic": "x", "X-Shopify-Name": "mine"},
        "metaobjects/create",
    ),
    Delivery(
        "Events with both header families",
        _SHOPIFY_EVENTS,
        "shopify",
        as_json(_ORDER),
        "Product",
        _ORDER["id"],
        source="shopify-events-both",
    ),
    Delivery(
        "Events with the new header family only",
        _SHOPIFY_EVENTS,
        "shopify",
        as_json(_ORDER),
        "Product",
        _ORDER["id"],
        source="shopify-events",
    ),
)


def _paddle(name: str, seen: str, document: dict[str, Any], about: object) -> Delivery:
    return Delivery(name, seen, "paddle", as_json(document), document["event_type"], about)


PADDLE: Final = (
    _paddle(
        "transaction",
        _PADDLE,
        {
            "event_id": "evt_01hv8x2acma2gz7he8kg25yvd8",
            "event_type": "transaction.completed",
            "occurred_at": "2024-04-12T10:18:49Z",
            "notification_id": "ntf_01hv8x2af9e1f9vy7tcqywn4jr",
            "data": {"id": "txn_01"},
        },
        "txn_01",
    ),
    _paddle(
        "subscription",
        _PADDLE,
        {
            "event_id": "evt_01",
            "event_type": "subscription.created",
            "occurred_at": "2024-04-12T10:18:49Z",
            "notification_id": "ntf_01",
            "data": {"id": "sub_01", "custom_data": None},
        },
        "sub_01",
    ),
    _paddle(
        "only a notification id",
        "notification payloads of the API's notifications",
        {"notification_id": "ntf_02", "event_type": "customer.created", "data": {"id": "ctm_01"}},
        "ctm_01",
    ),
    _paddle(
        "a notification id, and null as event id",
        "not seen, but possible: null instead of a missing key",
        {"event_id": None, "notification_id": "ntf_03", "event_type": "x", "data": {"id": "x"}},
        "x",
    ),
    _paddle(
        "simulation",
        "https://developer.paddle.com/webhooks/test-webhooks",
        {
            "event_id": "ntfsimevt_01",
            "event_type": "adjustment.updated",
            "notification_id": "ntfsimntf_01",
            "data": {"id": "adj_01"},
        },
        "adj_01",
    ),
)

_COMMAND: Final = {
    "token": "gIkuvaNzQIHg97ATvDxqgjtO",
    "team_id": "T0001",
    "team_domain": "example",
    "channel_id": "C2147483705",
    "channel_name": "test",
    "user_id": "U2147483697",
    "user_name": "Steve",
    "command": "/weather",
    "text": "94070 & more",
    "response_url": "https://hooks.slack.com/commands/1234/5678",
    "trigger_id": "13345224609.738474920.8088930838d88f008e0",
    "api_app_id": "A123456",
}


def _slack(name: str, page: str, body: bytes, kind: str, content_type: str = FORM) -> Delivery:
    return Delivery(
        name, f"{_SLACK}/{page}", "slack", body, kind, None, headers={"Content-Type": content_type}
    )


def _interaction(kind: str, **more: Any) -> bytes:
    trigger = {"trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3"}
    return as_form(
        {
            "type": kind,
            "team": {"id": "T9TK3CUKW"},
            "user": {"id": "UA8RXUSPL"},
            "api_app_id": "AABA1ABCD",
            "token": "9s8d",
            **trigger,
            **more,
        }
    )


_REFERENCE: Final = "reference/interaction-payloads"

SLACK: Final = (
    _slack(
        "event",
        "apis/events-api",
        as_json(
            {
                "token": "x",
                "team_id": "T1",
                "api_app_id": "A1",
                "event": {"type": "reaction_added", "user": "U1"},
                "type": "event_callback",
                "event_id": "Ev0PV52K25",
                "event_time": 1525215129,
            }
        ),
        "reaction_added",
        "application/json",
    ),
    _slack(
        "rate limited, without an event id",
        "apis/events-api#rate_limiting",
        as_json(
            {
                "token": "x",
                "type": "app_rate_limited",
                "team_id": "T1",
                "minute_rate_limited": 1518467820,
                "api_app_id": "A1",
            }
        ),
        "app_rate_limited",
        "application/json",
    ),
    _slack(
        "button",
        f"{_REFERENCE}/block_actions-payload",
        _interaction(
            "block_actions",
            actions=[{"action_id": "WaXA", "type": "button", "value": "click_me_123"}],
        ),
        "block_actions",
    ),
    _slack(
        "submitted view",
        f"{_REFERENCE}/view-interactions-payload",
        _interaction("view_submission", view={"id": "V1", "state": {"values": {}}}),
        "view_submission",
    ),
    _slack(
        "closed view, without a trigger",
        f"{_REFERENCE}/view-interactions-payload",
        as_form({"type": "view_closed", "view": {"id": "V1"}, "is_cleared": False}),
        "view_closed",
    ),
    _slack(
        "shortcut",
        f"{_REFERENCE}/shortcuts-interaction-payload",
        _interaction("shortcut", callback_id="shortcut_create_task"),
        "shortcut",
    ),
    _slack(
        "message shortcut",
        f"{_REFERENCE}/shortcuts-interaction-payload",
        _interaction("message_action", callback_id="chirp_message"),
        "message_action",
    ),
    _slack(
        "options",
        f"{_REFERENCE}/block_suggestion-payload",
        as_form({"type": "block_suggestion", "action_id": "a", "value": "be"}),
        "block_suggestion",
    ),
    _slack(
        "legacy button",
        "legacy/legacy-messaging",
        _interaction(
            "interactive_message",
            callback_id="wopr_game",
            actions=[{"name": "game", "value": "chess"}],
        ),
        "interactive_message",
    ),
    _slack(
        "command",
        "interactivity/implementing-slash-commands",
        urlencode(_COMMAND).encode(),
        "/weather",
    ),
    _slack(
        "command without text",
        "interactivity/implementing-slash-commands",
        urlencode(_COMMAND | {"text": "", "trigger_id": "1.2.3"}).encode(),
        "/weather",
    ),
    _slack(
        "certificate check",
        "interactivity/implementing-slash-commands",
        urlencode({"ssl_check": "1", "token": "x"}).encode(),
        "ssl_check",
    ),
    _slack(
        "published example",
        "authentication/verifying-requests-from-slack",
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
        b"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
        b"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
        "/webhook-collect",
    ),
)
