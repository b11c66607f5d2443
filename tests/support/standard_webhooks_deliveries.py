"""Deliveries of senders that follow Standard Webhooks, or nearly so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.support.real_deliveries import Delivery, as_json

_SPEC: Final = "spec/standard-webhooks.md of standard-webhooks/standard-webhooks"


def _row(
    name: str,
    seen: str,
    document: Mapping[str, Any],
    event_type: str,
    about: object,
    source: str = "",
) -> Delivery:
    return Delivery(
        name, seen, "standard-webhooks", as_json(document), event_type, about, "msg_1", source
    )


STANDARD_WEBHOOKS: Final = (
    _row(
        "specification",
        _SPEC,
        {
            "type": "contact.created",
            "timestamp": "2022-11-03T20:26:10Z",
            "data": {"id": "1f81eb52"},
        },
        "contact.created",
        "1f81eb52",
    ),
    _row(
        "Polar",
        "https://docs.polar.sh/integrate/webhooks/events",
        {
            "type": "order.paid",
            "timestamp": "2025-01-01T00:00:00Z",
            "data": {"id": "ord_1", "metadata": {}},
        },
        "order.paid",
        "ord_1",
        "polar",
    ),
    _row(
        "Clerk",
        "https://clerk.com/docs/webhooks/overview",
        {
            "data": {"id": "user_29w8", "object": "user"},
            "object": "event",
            "type": "user.created",
            "timestamp": 1654012591835,
        },
        "user.created",
        "user_29w8",
    ),
    _row(
        "Resend",
        "https://resend.com/docs/dashboard/webhooks/event-types",
        {
            "type": "email.sent",
            "created_at": "2023-02-22T23:41:12.126Z",
            "data": {"email_id": "56761188", "id": "e1"},
        },
        "email.sent",
        "e1",
    ),
    _row(
        "OpenAI",
        "https://platform.openai.com/docs/guides/webhooks",
        {
            "object": "event",
            "id": "evt_685343a1",
            "type": "response.completed",
            "created_at": 1750287018,
            "data": {"id": "resp_abc123"},
        },
        "response.completed",
        "resp_abc123",
    ),
    _row(
        "Supabase auth hook, without a type",
        "send-email hook, apps/docs of supabase/supabase",
        {"user": {"id": "8484b834"}, "email_data": {"email_action_type": "signup"}},
        "",
        None,
        "supabase",
    ),
    _row(
        "Supabase database change",
        "database webhooks, apps/docs of supabase/supabase",
        {
            "type": "INSERT",
            "table": "orders",
            "schema": "public",
            "record": {"id": 1},
            "old_record": None,
        },
        "INSERT",
        None,
    ),
    _row(
        "Brex",
        "https://developer.brex.com/docs/webhooks",
        {"event_type": "TRANSFER_PROCESSED", "transfer_id": "dptx_1", "company_id": "cuacc_1"},
        "TRANSFER_PROCESSED",
        None,
    ),
    _row(
        "Recall.ai",
        "https://docs.recall.ai/docs/bot-status-change-events",
        {"event": "bot.joining_call", "data": {"id": "bot_1", "data": {"code": "joining_call"}}},
        "bot.joining_call",
        "bot_1",
    ),
    _row(
        "as Svix's own API has it",
        "src/models/eventIn.ts of svix/svix-webhooks",
        {"eventType": "invoice.paid", "payload": {"id": "in_1"}, "id": "e1"},
        "invoice.paid",
        "e1",
    ),
    _row(
        "Replicate: a prediction, without a type",
        "https://replicate.com/docs/reference/webhooks",
        {"id": "ufawqhfynnddngldkgtslldrkq", "status": "succeeded", "output": ["x"]},
        "",
        "ufawqhfynnddngldkgtslldrkq",
    ),
    _row(
        "Loops: the source says where the type is",
        "https://loops.so/docs/webhooks",
        {"eventName": "email.delivered", "eventTime": 1734425918, "webhookSchemaVersion": "1.0.0"},
        "email.delivered",
        None,
        "loops",
    ),
    _row(
        "Discord's shape: a number as type, a type inside",
        "https://docs.discord.com/developers/events/webhook-events",
        {"version": 1, "type": 1, "event": {"type": "APPLICATION_AUTHORIZED", "data": {}}},
        "",
        None,
    ),
    _row(
        "Discord's shape, the source says where the type is",
        "https://docs.discord.com/developers/events/webhook-events",
        {"version": 1, "type": 1, "event": {"type": "APPLICATION_AUTHORIZED", "data": {}}},
        "APPLICATION_AUTHORIZED",
        None,
        "nested",
    ),
    _row("a list as data", _SPEC, {"type": "batch", "data": [1, 2]}, "batch", None),
    _row("null as data", _SPEC, {"type": "deleted", "data": None, "id": "d1"}, "deleted", "d1"),
    _row(
        "360Learning",
        "https://360learning.readme.io/docs/event-payload-and-headers",
        {"type": "user.created", "timestamp": 1749816650724, "data": {"userId": "684c"}},
        "user.created",
        None,
    ),
)
