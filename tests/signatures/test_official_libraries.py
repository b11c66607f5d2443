"""The signature check against the official libraries of Stripe and Standard Webhooks.

Both are asked the same question. They must agree, but for the cases that the functions named
`*_is_stricter_here` list.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace
from typing import Final

import pytest
import standardwebhooks
import stripe
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.signatures.verify import SignatureRejected, verify
from tests.support.webhook_signatures import SECRETS, raw_headers, signed_headers

NOW: Final = 1_700_000_000
STRIPE_SECRETS: Final = [SECRETS["stripe"], "whsec_the_one_before", "ключ"]
STANDARD_SECRETS: Final = [
    SECRETS["standard-webhooks"],
    "whsec_" + base64.b64encode(b"another key, of 24 bytes").decode(),
]


class FrozenDatetime(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> FrozenDatetime:
        return cls.fromtimestamp(NOW, tz)


@pytest.fixture(autouse=True, scope="module")
def _official_clocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stripe._webhook.time", SimpleNamespace(time=lambda: float(NOW)))
        patch.setattr("standardwebhooks.webhooks.datetime", FrozenDatetime)
        yield


def accepted_here(
    scheme: str, body: bytes, headers: dict[str, str], secrets: Sequence[str]
) -> bool:
    try:
        verify(scheme, body, raw_headers(headers), secrets, NOW)
    except SignatureRejected:
        return False
    return True


# Stripe


def stripe_accepts(body: bytes, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, 300)
    except (stripe.SignatureVerificationError, TypeError):  # TypeError: a non-ASCII v1
        return False
    return True


def stripe_is_stricter_here(header: str) -> bool:
    """Whether the header is one that the library accepts and we reject on purpose."""
    items = [item.split("=") for item in header.split(",")]
    first_time = next((item[1] for item in items if item[0] == "t" and len(item) > 1), "")
    return (
        re.fullmatch(r"[0-9]{1,20}", first_time) is None
        or int(first_time) > NOW + 300
        or len(header) > 8192
        or sum(item[0] == "v1" for item in items) > 1000
    )


def stripe_mac(body: bytes, secret: str, at: int) -> str:
    made: str = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return made.rpartition("v1=")[2]


bodies = st.sampled_from([b"", b"{}", '{"name": "Zoë"}'.encode(), b"\x00"])
offsets = st.sampled_from([0, 0, 0, 0, -299, -300, -301, 300, 301, 10**6])
time_forms = st.sampled_from(
    ["t={}"] * 12
    + ["t=0{}", "t={}=1", " t={}", "t= {}", "t={} ", "t=+{}", "t=-{}", "t=\xa0{}", "t={}\xb2"]
    + ["t={}_0", "t", "t=", "T={}", "t==", "t=" + "9" * 5000, "t=" + "0" * 30 + "{}"]
)
mac_forms = st.sampled_from(
    ["v1={}"] * 12
    + ["v1={}=x", " v1={}", "v1= {}", "v1={} ", "v1", "v1=", "V1={}", "v0={}", "v1=\xe9", "v1=\xff"]
    + ["{}", "", "=", "v1={} t=1700000000", "v1=" + "0" * 64, "v1={}\xe9", "x" * 8000]
)
many_macs = st.sampled_from([999, 1000, 1001]).map(lambda n: ",".join(["v1=0"] * n))


@st.composite
def stripe_headers(draw: st.DrawFn, body: bytes) -> str:
    at = NOW + draw(offsets)
    times = draw(st.lists(time_forms, min_size=1, max_size=2)) if draw(st.booleans()) else ["t={}"]
    parts = [form.format(at) for form in times]
    for form in draw(st.lists(mac_forms, min_size=1, max_size=4)):
        mac = stripe_mac(body, draw(st.sampled_from(STRIPE_SECRETS)), at)
        parts.append(form.format(mac.upper() if draw(st.integers(0, 9)) == 9 else mac))
    if draw(st.integers(0, 19)) == 19:
        parts.append(draw(many_macs))
    if draw(st.integers(0, 4)) == 4:
        parts = draw(st.permutations(parts))
    return draw(st.sampled_from([","] * 8 + [", ", " ", ",,"])).join(parts)


@st.composite
def stripe_deliveries(draw: st.DrawFn) -> tuple[bytes, str, list[str]]:
    body = draw(bodies)
    header = draw(stripe_headers(body))
    arrived = draw(bodies) if draw(st.integers(0, 9)) == 9 else body
    secrets = draw(st.lists(st.sampled_from(STRIPE_SECRETS), min_size=1, max_size=3, unique=True))
    return arrived, header, secrets


@settings(deadline=None, max_examples=500)
@given(stripe_deliveries())
@example((b"{}", f"t={NOW},v1={'0' * 64} t={NOW},v1={'0' * 64}", STRIPE_SECRETS))
def test_it_agrees_with_stripe_except_for_the_stricter_cases(
    delivery: tuple[bytes, str, list[str]],
) -> None:
    # Given
    body, header, secrets = delivery
    theirs = any(stripe_accepts(body, header, secret) for secret in secrets)

    # When
    ours = accepted_here("stripe", body, {"Stripe-Signature": header}, secrets)

    # Then
    assert ours == (theirs and not stripe_is_stricter_here(header))


@settings(deadline=None)
@given(body=st.text().map(str.encode), secret=st.text(min_size=1).filter(str.strip))
def test_everything_stripes_library_signs_is_accepted(body: bytes, secret: str) -> None:
    header = f"t={NOW},v1={stripe_mac(body, secret, NOW)}"
    assert accepted_here("stripe", body, {"Stripe-Signature": header}, [secret])


@settings(deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_it_agrees_with_stripe_on_arbitrary_headers(header: str) -> None:
    theirs = stripe_accepts(b"{}", header, STRIPE_SECRETS[0])
    ours = accepted_here("stripe", b"{}", {"Stripe-Signature": header}, STRIPE_SECRETS[:1])
    assert ours == theirs


def test_the_test_sender_signs_as_stripe_does() -> None:
    header = signed_headers("stripe", b"{}", STRIPE_SECRETS[0], timestamp=NOW)["Stripe-Signature"]
    assert stripe_accepts(b"{}", header, STRIPE_SECRETS[0])


# Standard Webhooks


def standard_accepts(body: bytes, headers: dict[str, str], secret: str) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, headers, json_parse=False)
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def is_well_formed(token: str) -> bool:
    version, _, mac = token.partition(",")
    if version != "v1" or re.fullmatch(r"[A-Za-z0-9+/]{43}=", mac) is None:
        return False
    return base64.b64encode(base64.b64decode(mac)).decode() == mac


def without_junk(headers: dict[str, str]) -> dict[str, str]:
    """The headers as the library needs them: an invalid token makes it raise a bare ValueError.

    Base64 written in any but the one usual way counts as junk here; the library decodes loosely.
    """
    tokens = headers["webhook-signature"].split(" ")
    return {**headers, "webhook-signature": " ".join(filter(is_well_formed, tokens))}


def standard_is_stricter_here(headers: dict[str, str]) -> bool:
    """Whether the time has a form that the library's `float()` accepts and we do not."""
    return re.fullmatch(r"[0-9]{1,20}", headers["webhook-timestamp"]) is None


token_forms = st.sampled_from(
    ["v1,{}"] * 10
    + ["junk", "v1", "v1,", "", "v2,{}", "v1a,{}", "v1,{},x", "v1,{}=", " v1,{}", "v1,=", "v1,\xe9"]
    + ["v1,!{}", "{}", "v1:{}", "V1,{}"]
)
standard_times = st.sampled_from(
    ["{}"] * 10
    + ["0{}", "{}.0", "{}.9", " {}", "+{}", "1.7e9", "1_700_000_000", "nan", "inf", "-1"]
)


@st.composite
def standard_deliveries(draw: st.DrawFn) -> tuple[bytes, dict[str, str], list[str]]:
    body = draw(bodies)
    event_id = draw(st.sampled_from(["msg_1", "a.b", "x" * 300]))
    at = datetime.fromtimestamp(NOW + draw(offsets), UTC)
    tokens = []
    for form in draw(st.lists(token_forms, min_size=1, max_size=4)):
        signer = standardwebhooks.Webhook(draw(st.sampled_from(STANDARD_SECRETS)))
        mac = signer.sign(event_id, at, body.decode()).removeprefix("v1,")
        tokens.append(form.format(mac))
    headers = {
        "webhook-id": event_id if draw(st.integers(0, 9)) < 9 else "msg_2",
        "webhook-timestamp": draw(standard_times).format(int(at.timestamp())),
        "webhook-signature": " ".join(tokens),
    }
    secrets = draw(st.lists(st.sampled_from(STANDARD_SECRETS), min_size=1, unique=True))
    return draw(bodies) if draw(st.integers(0, 9)) == 9 else body, headers, secrets


@settings(deadline=None, max_examples=500)
@given(standard_deliveries())
def test_it_agrees_with_standard_webhooks_except_for_invalid_tokens_and_times(
    delivery: tuple[bytes, dict[str, str], list[str]],
) -> None:
    # Given
    body, headers, secrets = delivery
    theirs = any(standard_accepts(body, without_junk(headers), secret) for secret in secrets)

    # When
    ours = accepted_here("standard-webhooks", body, headers, secrets)

    # Then
    assert ours == (theirs and not standard_is_stricter_here(headers))


@settings(deadline=None)
@given(key=st.binary(min_size=1, max_size=64), body=st.text())
def test_everything_the_standard_webhooks_library_signs_is_accepted(key: bytes, body: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    at = datetime.fromtimestamp(NOW, UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": standardwebhooks.Webhook(secret).sign("msg_1", at, body),
    }
    assert accepted_here("standard-webhooks", body.encode(), headers, [secret])
    assert accepted_here("standard-webhooks", body.encode(), headers, [secret.rstrip("=")])


def test_the_test_sender_signs_as_standard_webhooks_does() -> None:
    secret = STANDARD_SECRETS[0]
    headers = signed_headers("standard-webhooks", b"{}", secret, timestamp=NOW)
    assert standard_accepts(b"{}", headers, secret)
