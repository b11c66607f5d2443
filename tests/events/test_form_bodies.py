"""Bodies that are forms: GitHub's, and Slack's interactions and commands."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.events.form_bodies import read_body
from service.events.parsing import InvalidEvent, parse, parse_stored
from service.signatures.schemes import Headers
from tests.support.real_deliveries import FORM, as_form, as_json

DOCUMENT = {"action": "opened", "title": "Grüße & 100 % + mehr = 👍", "n": 1}
AS_FORM: Headers = [(b"content-type", FORM.encode())]
AS_JSON: Headers = [(b"content-type", b"application/json")]
IDS: Headers = [(b"x-github-delivery", b"dlv"), (b"x-github-event", b"issues")]


def reason(scheme: str, body: bytes, headers: Headers = AS_FORM) -> str | None:
    try:
        parse(scheme, body, [*headers, *IDS])
    except InvalidEvent as invalid:
        return invalid.reason
    return None


@pytest.mark.parametrize("scheme", ["github", "slack"])
@pytest.mark.parametrize(
    "headers",
    [AS_FORM, [], AS_JSON, [(b"content-type", b"Application/X-WWW-Form-URLEncoded; charset=x")]],
)
def test_the_payload_of_a_form_is_the_document(scheme: str, headers: Headers) -> None:
    read = read_body(scheme, as_form(DOCUMENT), headers)
    assert (read.document, read.content, read.is_form) == (DOCUMENT, as_json(DOCUMENT), True)


@pytest.mark.parametrize("scheme", ["github", "slack"])
@pytest.mark.parametrize("headers", [AS_FORM, [], AS_JSON])
def test_a_body_that_begins_with_a_bracket_is_json(scheme: str, headers: Headers) -> None:
    read = read_body(scheme, b" \n" + as_json(DOCUMENT), headers)
    assert (read.document, read.is_form) == (DOCUMENT, False)


@pytest.mark.parametrize("headers", [AS_FORM, [], AS_JSON])
def test_a_command_is_the_fields_of_the_form(headers: Headers) -> None:
    body = b"command=%2Fweather&text=94070+%26+more&trigger_id=1.2.3&empty="
    event = parse("slack", body, headers)
    assert (event.id, event.type) == ("1.2.3", "/weather")
    assert event.object["text"] == "94070 & more"
    assert event.object["empty"] == ""


@pytest.mark.parametrize("headers", [AS_FORM, [], AS_JSON])
def test_a_field_called_payload_wins_wherever_it_is(headers: Headers) -> None:
    body = b"a=1&" + as_form(DOCUMENT)
    assert read_body("github", body, headers).document == DOCUMENT


@pytest.mark.parametrize("body", [b"hello", b"\xef\xbb\xbf{}", b"id=1&type=x", b"a payload=1"])
def test_what_is_neither_by_its_looks_nor_called_a_form_is_not_json(body: bytes) -> None:
    assert reason("github", body, []) == "not_json"


@pytest.mark.parametrize("scheme", ["stripe", "shopify", "paddle", "standard-webhooks"])
def test_other_schemes_send_no_forms(scheme: str) -> None:
    with pytest.raises(InvalidEvent, match="not_json"):
        read_body(scheme, as_form(DOCUMENT), AS_FORM)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "not_form"),
        (b"a=1", "not_form"),
        (b"payload", "not_json"),
        (b"payload=", "not_json"),
        (b"payload=x", "not_json"),
        (b"payload=[]", "not_object"),
        (b"payload=%FF", "not_utf8"),
        (b"payload=\xff", "not_utf8"),
        (b"payload={}&payload={}", "duplicate_key"),
        (b'payload={"a":1,"a":2}', "duplicate_key"),
        (b'payload={"a":"%5Cud800"}', "lone_surrogate"),
        (b"payload={}" + b"&a" * 200, "not_form"),
        (b"payload=" + quote("[" * 400 + "]" * 400).encode(), "too_deep"),
    ],
)
def test_a_form_that_cannot_be_read_says_why(body: bytes, expected: str) -> None:
    assert reason("github", body) == expected


@pytest.mark.parametrize("body", [b"", b"x", b"token=1", b"command=&trigger_id=1"])
def test_a_slack_form_that_is_neither_command_nor_interaction_has_no_identity(body: bytes) -> None:
    assert reason("slack", body) == "no_identity"


def test_a_stored_form_is_read_without_its_headers() -> None:
    event = parse("github", as_form(DOCUMENT), [*AS_FORM, *IDS])
    stored = parse_stored("github", event.id, event.type, as_form(DOCUMENT))
    assert (stored.body, stored.object, stored.fingerprint) == (
        DOCUMENT,
        DOCUMENT,
        event.fingerprint,
    )


def test_interactions_without_a_trigger_are_told_apart_by_their_content() -> None:
    closed = {"type": "view_closed", "view": {"id": "V1"}}
    first = parse("slack", as_form(closed), AS_FORM)
    again = parse("slack", as_form(dict(reversed(closed.items()))), AS_FORM)
    other = parse("slack", as_form(closed | {"view": {"id": "V2"}}), AS_FORM)
    assert first.id == again.id != other.id


@settings(deadline=None)
@given(
    scheme=st.sampled_from(["github", "slack"]),
    body=st.binary(max_size=60)
    | st.text(max_size=40).map(
        lambda text: urlencode({"payload": text}, errors="replace").encode()
    ),
)
def test_no_form_raises_anything_but_its_reason(scheme: str, body: bytes) -> None:
    reason(scheme, body)
