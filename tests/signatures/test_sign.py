"""Callback signatures, checked with the official Standard Webhooks verifier."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.signatures.sign import decode_secret, headers, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

keys = st.binary(min_size=24, max_size=64)
ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=64)


def as_secret(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def test_the_test_vector_of_the_specification_is_reproduced() -> None:
    signature = sign([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(key=keys, message_id=ids, body=st.text().map(str.encode))
def test_the_official_library_verifies_with_the_configured_secret(
    key: bytes, message_id: str, body: bytes
) -> None:
    secret = as_secret(key)

    signed = headers([secret], message_id, int(time.time()), body)

    Webhook(secret).verify(body, signed, json_parse=False)


def test_during_a_rotation_either_secret_verifies() -> None:
    signed = headers([SECRET, OTHER_SECRET], "dlv_1", int(time.time()), b"{}")

    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(b"{}", signed)


def test_tokens_are_separated_by_exactly_one_space() -> None:
    first, second = sign([SECRET, OTHER_SECRET], "dlv_1", 1, b"{}").split(" ")

    assert first.startswith("v1,")
    assert second.startswith("v1,")
    assert first == sign([SECRET], "dlv_1", 1, b"{}")


@pytest.mark.parametrize(
    ("message_id", "body"), [("dlv_2", b"{}"), ("dlv_1", b"{ }")], ids=["id", "body"]
)
def test_the_official_library_rejects_changes(message_id: str, body: bytes) -> None:
    signed = headers([SECRET], "dlv_1", int(time.time()), b"{}")

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, {**signed, "webhook-id": message_id})


def test_the_headers_name_the_attempt() -> None:
    signed = headers([SECRET], "dlv_1", 1614265330, b"{}")

    assert signed["webhook-id"] == "dlv_1"
    assert signed["webhook-timestamp"] == "1614265330"
    assert set(signed) == {"webhook-id", "webhook-timestamp", "webhook-signature"}


@given(keys)
def test_a_secret_decodes_to_its_key(key: bytes) -> None:
    assert decode_secret(as_secret(key)) == key


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "prefix"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "prefix"),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "prefix"),
        ("whsec_", "0 bytes"),
        (as_secret(bytes(23)), "23 bytes"),
        (as_secret(bytes(65)), "65 bytes"),
        (as_secret(bytes(25)).rstrip("="), "base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS\n", "base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8I-PZIo2LaLaS_", "base64"),
        ("whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSß", "base64"),
    ],
)
def test_a_malformed_secret_is_rejected_and_not_repeated(secret: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        decode_secret(secret)

    assert "MfKQ" not in str(error.value)
    assert error.value.__cause__ is None


def test_signing_without_a_secret_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        sign([], "dlv_1", 1, b"{}")


def test_an_id_with_a_full_stop_is_rejected() -> None:
    with pytest.raises(ValueError, match="full stop"):
        sign([SECRET], "dlv_1.2", 1, b"{}")
