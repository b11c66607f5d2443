"""Authentic events without a usable identity, whose duplicates could not be recognized."""

from __future__ import annotations

from typing import Final

import pytest

from service.events.parsing import parse
from tests.support.signed_events import (
    GOOD,
    SLACK_EVENT,
    STRIPE_EVENT,
    dump,
    parse_error,
    parse_signed,
    signed_now,
)

UNUSABLE_NAMES: Final = [
    None,
    "",
    " ",
    7,
    True,
    ["evt_1"],
    {"id": "evt_1"},
    "x" * 256,
    "evt\n1",
    "evt\x001",
    "evt\x7f",
    "evt\x851",
]


@pytest.mark.parametrize("name", UNUSABLE_NAMES)
@pytest.mark.parametrize(
    ("scheme", "member"),
    [
        ("stripe", "id"),
        ("stripe", "type"),
        ("paddle", "event_id"),
        ("paddle", "event_type"),
        ("slack", "event_id"),
    ],
)
def test_an_invalid_id_or_type_in_the_body_is_rejected(
    scheme: str, member: str, name: object
) -> None:
    assert parse_error(scheme, {**GOOD[scheme], member: name}) == "no_identity"


@pytest.mark.parametrize("name", UNUSABLE_NAMES)
def test_a_standard_webhook_whose_type_is_invalid_is_kept_without_one(name: object) -> None:
    document = {**GOOD["standard-webhooks"], "type": name}
    event = parse_signed("standard-webhooks", document)
    assert (event.id, event.type) == ("dlv-1", "")


@pytest.mark.parametrize("event", [None, "app_mention", [], {}, {"type": None}, {"type": ""}])
def test_a_slack_callback_without_an_event_type_is_rejected(event: object) -> None:
    assert parse_error("slack", {**SLACK_EVENT, "event": event}) == "no_identity"


IDENTITY_HEADERS: Final = [
    ("standard-webhooks", b"webhook-id"),
    ("github", b"x-github-delivery"),
    ("github", b"x-github-event"),
    ("shopify", b"x-shopify-webhook-id"),
    ("shopify", b"x-shopify-topic"),
]


@pytest.mark.parametrize("value", [b"", b" ", b"x" * 256, b"a\nb", b"a\x00b", b"\xe9", b"\x85"])
@pytest.mark.parametrize(("scheme", "name"), IDENTITY_HEADERS)
def test_an_invalid_id_or_type_in_a_header_is_rejected(
    scheme: str, name: bytes, value: bytes
) -> None:
    headers = dict(signed_now(scheme, dump(GOOD[scheme])))
    headers[name] = value
    assert parse_error(scheme, GOOD[scheme], list(headers.items())) == "no_identity"


@pytest.mark.parametrize(("scheme", "name"), IDENTITY_HEADERS)
def test_a_missing_or_repeated_identity_header_is_rejected(scheme: str, name: bytes) -> None:
    headers = signed_now(scheme, dump(GOOD[scheme]))
    without = [pair for pair in headers if pair[0] != name]
    assert parse_error(scheme, GOOD[scheme], without) == "no_identity"
    assert parse_error(scheme, GOOD[scheme], [*headers, (name, b"other")]) == "no_identity"


def test_an_id_with_its_hash_fits_in_255_characters() -> None:
    body = dump(GOOD["github"])
    assert len(parse("github", body, signed_now("github", body, "x" * 238)).id) == 255
    assert parse_error("github", GOOD["github"], signed_now("github", body, "x" * 239))


def test_an_id_of_255_characters_is_usable() -> None:
    assert parse_signed("stripe", {**STRIPE_EVENT, "id": "é" * 255}).id == "é" * 255
