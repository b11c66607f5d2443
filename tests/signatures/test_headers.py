"""The details of each provider's headers."""

from __future__ import annotations

import pytest

from service.signatures.verify import Headers, check_secret
from tests.support.signed_events import BODY, NOW, rejection_reason, signed
from tests.support.webhook_signatures import SECRETS


def stripe_header(value: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"stripe-signature", value)]


def good_mac(body: bytes = BODY, at: int = NOW) -> bytes:
    value = dict(signed("stripe", body, at=at))[b"stripe-signature"]
    return value.split(b",")[1].removeprefix(b"v1=")


# Stripe's header, row by row


def test_any_of_several_stripe_macs_may_match() -> None:
    header = b"t=%d,v1=%b,v1=%b" % (NOW, b"0" * 64, good_mac())
    assert rejection_reason("stripe", stripe_header(header)) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"gibberish", "malformed"),
        (b",", "malformed"),
        (b"=", "malformed"),
        (b"t=%d" % NOW, "missing"),
        (b"t=%d,v0=%b" % (NOW, good_mac()), "missing"),
        (b"t=%d, v1=%b" % (NOW, good_mac()), "missing"),
        (b"v1=" + good_mac(), "malformed"),
        (b" t=%d,v1=%b" % (NOW, good_mac()), "malformed"),
        (b"t=%d,v1" % NOW, "malformed"),
        (b"t,t=%d,v1=%b" % (NOW, good_mac()), "malformed"),
        (b"t=%d,v1=" % NOW, "mismatch"),
        (b"t=%d,v1=%b" % (NOW, b"0" * 64), "mismatch"),
        (b"t=%d,v1=%b" % (NOW, good_mac()[:-1]), "mismatch"),
        (b"t=%d,v1=%b" % (NOW + 1, good_mac()), "mismatch"),
        (b"t=%d,t=%d,v1=%b" % (NOW + 1, NOW, good_mac()), "mismatch"),
        (b"t=%d,v1=\xe9,v1=%b" % (NOW, good_mac()), "mismatch"),
        (b"t=%d,v1=%b" % (NOW, b",v1=".join([b"0"] * 1001)), "too_long"),
    ],
)
def test_a_malformed_stripe_header_is_rejected(value: bytes, reason: str) -> None:
    assert rejection_reason("stripe", stripe_header(value)) == reason


def test_a_time_of_twenty_digits_is_compared_without_overflow() -> None:
    at = 10**20 - 1
    assert (
        rejection_reason("stripe", stripe_header(b"t=%d,v1=%b" % (at, good_mac(at=at))))
        == "clock_skew"
    )


def test_a_thousand_macs_are_accepted() -> None:
    value = b"t=%d,%bv1=%b" % (NOW, b"v1=0," * 999, good_mac())
    assert rejection_reason("stripe", stripe_header(value)) is None


def test_space_separated_signatures_are_read_like_the_official_library_does() -> None:
    # How Persona rotates; the comparison with the library covers it as well
    value = b"t=%d,v1=%b t=%d,v1=%b"
    assert (
        rejection_reason("stripe", stripe_header(value % (NOW, b"0" * 64, NOW, good_mac()))) is None
    )
    assert (
        rejection_reason("stripe", stripe_header(value % (NOW, good_mac(), NOW, b"0" * 64)))
        == "mismatch"
    )


# Standard Webhooks


def as_svix(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.replace(b"webhook-", b"svix-"), value) for name, value in headers]


def test_the_svix_headers_are_accepted() -> None:
    assert rejection_reason("standard-webhooks", as_svix(signed("standard-webhooks"))) is None


def test_half_of_each_header_family_is_rejected() -> None:
    headers = signed("standard-webhooks")
    assert rejection_reason("standard-webhooks", [*headers[:1], *as_svix(headers[1:])]) == "missing"
    assert rejection_reason("standard-webhooks", [*as_svix(headers[:1]), *headers[1:]]) == "missing"


def test_with_both_header_families_the_webhook_one_counts() -> None:
    headers = signed("standard-webhooks")
    forged = [(name, b"x") for name, _ in headers]
    assert rejection_reason("standard-webhooks", [*headers, *as_svix(forged)]) is None
    assert rejection_reason("standard-webhooks", [*forged, *as_svix(headers)]) is not None


def test_an_empty_header_does_not_complete_a_header_family() -> None:
    headers = signed("standard-webhooks")
    empty = [(name, b"") for name, _ in headers]
    assert rejection_reason("standard-webhooks", [*empty, *as_svix(headers)]) is None


@pytest.mark.parametrize("junk", [b"junk", b"", b"v1", b"v2,abc", b"v1,a,b", b"v1a,abc", b"\xff"])
def test_an_invalid_token_does_not_invalidate_a_valid_one(junk: bytes) -> None:
    headers = dict(signed("standard-webhooks"))
    headers[b"webhook-signature"] = junk + b" " + headers[b"webhook-signature"] + b" " + junk
    assert rejection_reason("standard-webhooks", list(headers.items())) is None


def test_a_header_of_invalid_tokens_is_rejected() -> None:
    headers = dict(signed("standard-webhooks"))
    headers[b"webhook-signature"] = b"v2,abc junk"
    assert rejection_reason("standard-webhooks", list(headers.items())) == "missing"


def test_standard_webhooks_sign_the_event_id() -> None:
    headers = dict(signed("standard-webhooks"))
    headers[b"webhook-id"] = b"evt_2"
    assert rejection_reason("standard-webhooks", list(headers.items())) == "mismatch"


@pytest.mark.parametrize("form", ["whsec_{}", "{}", "whsec_{}=="])
def test_prefix_and_padding_of_a_standard_webhooks_secret_are_optional(form: str) -> None:
    secret = form.format(SECRETS["standard-webhooks"].removeprefix("whsec_"))
    check_secret("standard-webhooks", secret)
    assert (
        rejection_reason("standard-webhooks", signed("standard-webhooks"), secrets=[secret]) is None
    )


# MACs of other schemes


@pytest.mark.parametrize(
    ("scheme", "name"), [("github", b"x-hub-signature-256"), ("slack", b"x-slack-signature")]
)
def test_a_mac_without_its_version_is_malformed(scheme: str, name: bytes) -> None:
    headers = dict(signed(scheme))
    headers[name] = headers[name].partition(b"=")[2]
    assert rejection_reason(scheme, list(headers.items())) == "malformed"
