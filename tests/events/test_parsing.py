"""Parsing verified webhooks: identity, object and fingerprint for each scheme."""

from __future__ import annotations

import hashlib
import json

import pytest

from service.events.parsing import parse, slack_challenge
from service.signatures.verify import SCHEMES
from tests.support.signed_events import (
    GOOD,
    SLACK_EVENT,
    STRIPE_EVENT,
    THIN_EVENT,
    dump,
    parse_error,
    parse_signed,
    signed_now,
)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


# Stripe


def test_a_stripe_event_is_read_from_its_body() -> None:
    event = parse_signed("stripe", STRIPE_EVENT)
    assert (event.id, event.type) == ("evt_1NG8Du2eZvKYlo2CUI79vXWy", "checkout.session.completed")
    assert event.object == STRIPE_EVENT["data"]["object"]
    assert event.body == STRIPE_EVENT
    assert event.livemode is False


def test_a_thin_event_is_about_its_related_object() -> None:
    event = parse_signed("stripe", THIN_EVENT)
    assert event.id == THIN_EVENT["id"]
    assert event.object == THIN_EVENT["related_object"]
    assert event.body == THIN_EVENT
    assert event.livemode is True


def test_key_order_and_spacing_of_a_thin_event_do_not_change_the_fingerprint() -> None:
    turned = dict(reversed(list(THIN_EVENT.items())))
    indented = parse("stripe", json.dumps(turned, indent=3).encode(), [])
    assert indented.fingerprint == parse_signed("stripe", THIN_EVENT).fingerprint


def test_the_thin_version_of_a_snapshot_event_has_the_id_of_the_snapshot() -> None:
    thin = {**THIN_EVENT, "snapshot_event": STRIPE_EVENT["id"]}
    assert parse_signed("stripe", thin).id == STRIPE_EVENT["id"]


@pytest.mark.parametrize("snapshot", [None, "", 7, {"id": "evt_1"}])
def test_a_snapshot_that_is_not_named_leaves_a_thin_event_its_id(snapshot: object) -> None:
    thin = {**THIN_EVENT, "snapshot_event": snapshot}
    assert parse_signed("stripe", thin).id == THIN_EVENT["id"]


@pytest.mark.parametrize("related", [None, "mtr_1", []])
def test_a_thin_event_about_nothing_is_its_own_object(related: object) -> None:
    thin = {**THIN_EVENT, "related_object": related}
    assert parse_signed("stripe", thin).object == thin


@pytest.mark.parametrize("data", [None, {}, [], "x", 1, {"object": None}])
def test_odd_stripe_data_leaves_the_body_as_object(data: object) -> None:
    document = {**STRIPE_EVENT, "data": data}
    assert parse_signed("stripe", document).object == document


@pytest.mark.parametrize("livemode", [None, 1, "true", "absent"])
def test_a_livemode_that_is_not_a_boolean_is_ignored(livemode: object) -> None:
    document = {**STRIPE_EVENT, "livemode": livemode}
    if livemode == "absent":
        del document["livemode"]
    assert parse_signed("stripe", document).livemode is None


def test_a_stripe_retry_with_fewer_pending_webhooks_is_the_same_event() -> None:
    retry = {**STRIPE_EVENT, "pending_webhooks": 0, "request": None}
    assert (
        parse_signed("stripe", retry).fingerprint
        == parse_signed("stripe", STRIPE_EVENT).fingerprint
    )


def test_key_order_and_spacing_of_the_data_do_not_change_the_fingerprint() -> None:
    inner = STRIPE_EVENT["data"]["object"]
    turned = {**STRIPE_EVENT, "data": {"object": dict(reversed(list(inner.items())))}}
    indented = parse("stripe", json.dumps(turned, indent=3, ensure_ascii=True).encode(), [])
    assert indented.fingerprint == parse_signed("stripe", STRIPE_EVENT).fingerprint


def test_other_data_under_the_same_id_has_another_fingerprint() -> None:
    other = {**STRIPE_EVENT, "data": {"object": {"id": "cs_test_2"}}}
    first, second = parse_signed("stripe", STRIPE_EVENT), parse_signed("stripe", other)
    assert first.id == second.id
    assert first.fingerprint != second.fingerprint


# The other schemes


def test_a_paddle_event_is_read_from_its_body() -> None:
    event = parse_signed("paddle", GOOD["paddle"])
    assert (event.id, event.type) == ("evt_01", "transaction.completed")
    assert event.object == {"id": "t"}
    assert event.livemode is None


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_a_standard_webhook_has_its_id_in_the_signed_header(family: str) -> None:
    body = dump(GOOD["standard-webhooks"])
    headers = [
        (name.replace(b"webhook", family.encode()), value)
        for name, value in signed_now("standard-webhooks", body, "msg_1")
    ]
    event = parse("standard-webhooks", body, headers)
    assert (event.id, event.type, event.object) == ("msg_1", "user.created", {"id": "user_1"})


def test_the_id_is_read_from_the_verified_header_family() -> None:
    body = dump(GOOD["standard-webhooks"])
    signed = signed_now("standard-webhooks", body, "msg_1")
    stray = [(b"svix-id", b"msg_unsigned")]
    assert parse("standard-webhooks", body, [*stray, *signed]).id == "msg_1"
    signed_by_svix = [(name.replace(b"webhook", b"svix"), value) for name, value in signed]
    stray = [(b"webhook-id", b"msg_unsigned")]
    assert parse("standard-webhooks", body, [*stray, *signed_by_svix]).id == "msg_1"


@pytest.mark.parametrize(
    ("scheme", "id_name", "type_name", "event_type"),
    [
        ("github", b"x-github-delivery", b"x-github-event", "ping"),
        ("shopify", b"x-shopify-webhook-id", b"x-shopify-topic", "orders/paid"),
        ("shopify", b"x-shopify-event-id", b"x-shopify-topic", "orders/paid"),
    ],
)
def test_with_an_unsigned_id_header_the_body_hash_is_part_of_the_identity(
    scheme: str, id_name: bytes, type_name: bytes, event_type: str
) -> None:
    body = dump(GOOD[scheme])
    event = parse(scheme, body, [(id_name, b"dlv-1"), (type_name, event_type.encode())])
    assert event.id == f"dlv-1.{sha256(body)[:16]}"
    assert event.type == event_type
    assert event.object == GOOD[scheme]
    assert event.fingerprint == sha256(body)


@pytest.mark.parametrize("scheme", ["github", "shopify"])
def test_a_captured_delivery_id_does_not_suppress_another_event(scheme: str) -> None:
    first, second = parse_signed(scheme, {"n": 1}), parse_signed(scheme, {"n": 2})
    assert first.id != second.id


@pytest.mark.parametrize("scheme", ["github", "shopify"])
def test_a_replayed_body_with_a_new_delivery_id_has_the_same_fingerprint(scheme: str) -> None:
    body = dump(GOOD[scheme])
    events = [parse(scheme, body, signed_now(scheme, body, id_)) for id_ in ("a", "b")]
    assert events[0].id != events[1].id
    assert events[0].fingerprint == events[1].fingerprint


@pytest.mark.parametrize("scheme", ["github", "shopify"])
def test_with_the_body_as_identity_data_is_only_the_object(scheme: str) -> None:
    document = {"data": {"n": 1}, "sent": 1}
    event = parse_signed(scheme, document)
    assert event.object == {"n": 1}
    assert event.fingerprint == sha256(dump(document))


def test_a_slack_event_is_named_after_the_event_inside() -> None:
    event = parse_signed("slack", SLACK_EVENT)
    assert (event.id, event.type) == ("Ev08MFMKH6", "app_mention")
    assert event.object == SLACK_EVENT
    assert slack_challenge(event.body) is None


def test_a_slack_body_of_another_type_is_named_after_that() -> None:
    document = {"type": "app_rate_limited", "event_id": "Ev1", "event": {"type": "ignored"}}
    assert parse_signed("slack", document).type == "app_rate_limited"


def test_slacks_url_verification_is_parsed_and_answered() -> None:
    event = parse_signed("slack", {"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV"})
    assert event.type == "url_verification"
    assert slack_challenge(event.body) == "3eZbrw1aBm2rZgRNFdxV"


@pytest.mark.parametrize("challenge", [None, "", 7, ["x"], "x" * 256])
def test_an_invalid_url_verification_is_rejected(challenge: object) -> None:
    document = {"type": "url_verification", "challenge": challenge}
    assert slack_challenge(document) is None
    assert parse_error("slack", document) == "no_identity"


def test_a_challenge_in_any_other_body_is_not_answered() -> None:
    assert slack_challenge({**SLACK_EVENT, "challenge": "x"}) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_parsing_is_deterministic(scheme: str) -> None:
    assert parse_signed(scheme, GOOD[scheme]) == parse_signed(scheme, GOOD[scheme])


def test_the_repr_of_an_event_has_no_customer_data() -> None:
    assert "cs_test_1" not in repr(parse_signed("stripe", STRIPE_EVENT))
