"""Stripe's deliveries: snapshot events of the common shapes, and thin events."""

from __future__ import annotations

from typing import Any, Final

from tests.support.real_deliveries import Delivery, as_json

_API: Final = "https://docs.stripe.com/api"
_V2_TESTS: Final = "tests/test_v2_event.py of stripe/stripe-python"
_V2_TYPES: Final = f"{_API}/v2/core/accounts/event-types"
_MIGRATION: Final = "https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events"


def snapshot(event_type: str, thing: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A snapshot event.

    Parameters:
      event_type: Its type.
      thing: Its `data.object`.
      changes: Other top-level keys.
    """
    return {
        "id": "evt_1PgafyB7WZ01zgkWabcdefgh",
        "object": "event",
        "api_version": "2025-03-31.basil",
        "created": 1721_833_000,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 2,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    } | changes


def session(**changes: Any) -> dict[str, Any]:
    """A completed, paid Checkout session that asked for the buyer's handle."""
    return {
        "id": "cs_test_a1",
        "object": "checkout.session",
        "amount_total": 2000,
        "client_reference_id": None,
        "currency": "eur",
        "custom_fields": [
            {
                "key": "instagram",
                "label": {"custom": "Instagram", "type": "custom"},
                "optional": False,
                "text": {"value": "jenny.rosen"},
                "type": "text",
            }
        ],
        "customer": None,
        "customer_details": {"email": "jenny@example.com", "name": "Jenny Rosen", "phone": None},
        "invoice": None,
        "metadata": {},
        "mode": "payment",
        "payment_intent": "pi_1",
        "payment_status": "paid",
        "setup_intent": None,
        "status": "complete",
        "subscription": None,
    } | changes


SUBSCRIPTION: Final = session(
    mode="subscription",
    payment_intent=None,
    invoice="in_1",
    subscription="sub_1",
    customer="cus_1",
)
FREE: Final = session(payment_intent=None, payment_status="no_payment_required", amount_total=0)
TRIAL: Final = SUBSCRIPTION | {"payment_status": "no_payment_required"}


def thin(event_type: str, kind: str, thing: str, **changes: Any) -> dict[str, Any]:
    """A thin event.

    Parameters:
      event_type: Its type.
      kind: The type of its related object.
      thing: The id of that.
      changes: Other top-level keys.
    """
    return {
        "id": "evt_test_65R9Ijk8dKEYZcXeRWn16R9A7j1FSQ3w3TGDPLLGSM4CW0",
        "object": "v2.core.event",
        "type": event_type,
        "livemode": False,
        "created": "2025-07-24T15:00:00.000Z",
        "context": None,
        "related_object": {"id": thing, "type": kind, "url": f"/v2/{kind}/{thing}"},
        "reason": None,
    } | changes


def _row(name: str, seen: str, document: dict[str, Any], about: object) -> Delivery:
    return Delivery(name, seen, "stripe", as_json(document), document["type"], about)


_COMPLETED: Final = "checkout.session.completed"
_SESSION: Final = f"{_API}/checkout/sessions/object"

STRIPE: Final = (
    _row("one-time payment", _SESSION, snapshot(_COMPLETED, session()), "cs_test_a1"),
    _row("subscription", _SESSION, snapshot(_COMPLETED, SUBSCRIPTION), "cs_test_a1"),
    _row("free order", _SESSION, snapshot(_COMPLETED, FREE), "cs_test_a1"),
    _row("trial", _SESSION, snapshot(_COMPLETED, TRIAL), "cs_test_a1"),
    _row(
        "delayed payment",
        "https://docs.stripe.com/payments/checkout/fulfill-orders",
        snapshot("checkout.session.async_payment_succeeded", session()),
        "cs_test_a1",
    ),
    _row(
        "failed delayed payment",
        "https://docs.stripe.com/payments/checkout/fulfill-orders",
        snapshot("checkout.session.async_payment_failed", session(payment_status="unpaid")),
        "cs_test_a1",
    ),
    _row(
        "expired session",
        f"{_API}/events/types",
        snapshot(
            "checkout.session.expired",
            session(status="expired", payment_status="unpaid", customer_details=None),
        ),
        "cs_test_a1",
    ),
    _row(
        "invoice since basil",
        "https://docs.stripe.com/changelog/basil/2025-03-31",
        snapshot(
            "invoice.paid",
            {
                "id": "in_1",
                "object": "invoice",
                "parent": {
                    "type": "subscription_details",
                    "subscription_details": {
                        "metadata": {"instagram": "jenny"},
                        "subscription": "sub_1",
                    },
                },
            },
        ),
        "in_1",
    ),
    _row(
        "invoice before basil",
        "fixtures3 of stripe/openapi",
        snapshot(
            "invoice.paid",
            {
                "id": "in_1",
                "object": "invoice",
                "charge": "ch_1",
                "payment_intent": "pi_1",
                "subscription": "sub_1",
            },
            api_version="2022-11-15",
        ),
        "in_1",
    ),
    _row(
        "connected account",
        "https://docs.stripe.com/connect/webhooks",
        snapshot(
            "payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"}, account="acct_1"
        ),
        "pi_1",
    ),
    _row(
        "previous attributes",
        f"{_API}/events/object",
        snapshot(
            "customer.updated",
            {},
            data={
                "object": {"id": "cus_1", "object": "customer", "email": None},
                "previous_attributes": {"email": "old@example.com"},
            },
        ),
        "cus_1",
    ),
    _row(
        "request as text",
        f"{_API}/events/object, before API version 2017-05-25",
        snapshot(
            "charge.succeeded",
            {"id": "ch_1", "object": "charge"},
            request="req_1",
            api_version="2016-07-06",
        ),
        "ch_1",
    ),
    _row(
        "trigger of the CLI",
        "pkg/fixtures/triggers of stripe/stripe-cli",
        snapshot("charge.refunded", {"id": "ch_1", "object": "charge", "refunded": True}),
        "ch_1",
    ),
    _row(
        "thin event without data",
        _V2_TESTS,
        thin(
            "v1.billing.meter.error_report_triggered",
            "billing.meter",
            "mtr_123",
            context="acct_123",
        ),
        "mtr_123",
    ),
    _row(
        "thin event with data",
        _V2_TESTS,
        thin(
            "v1.billing.meter.error_report_triggered",
            "billing.meter",
            "mtr_123",
            data={"reason": {"error_count": 1}},
        ),
        "mtr_123",
    ),
    _row(
        "type with brackets",
        _V2_TYPES,
        thin(
            "v2.core.account[configuration.recipient].capability_status_updated",
            "v2.core.account",
            "acct_1",
        ),
        "acct_1",
    ),
    _row(
        "type with brackets and requirements",
        _V2_TYPES,
        thin("v2.core.account[requirements].updated", "v2.core.account", "acct_1"),
        "acct_1",
    ),
    _row(
        "ping",
        f"{_API}/v2/core/event-destinations/event-types",
        thin("v2.core.event_destination.ping", "v2.core.event_destination", "ed_1"),
        "ed_1",
    ),
    _row(
        "thin version of a snapshot",
        _MIGRATION,
        thin(
            "v1.customer.created",
            "customer",
            "cus_1",
            snapshot_event="evt_1PgafyB7WZ01zgkWabcdefgh",
        ),
        "cus_1",
    ),
    _row(
        "thin event about nothing",
        f"{_API}/v2/core/events/object",
        thin("v2.data.reporting.query_run.succeeded", "", "", related_object=None, id="evt_t"),
        "evt_t",
    ),
)
