"""What a Standard Webhooks secret may mean: all readings that senders use, and no other."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from service.signatures.secret_readings import is_damaged
from service.signatures.verify import SignatureRejected, check_secret, verify
from tests.support.signed_events import BODY, NOW
from tests.support.webhook_signatures import raw_headers, signed_headers

KEY = bytes(range(200, 232))
STANDARD = base64.b64encode(KEY).decode()
URL_SAFE = base64.urlsafe_b64encode(KEY).decode()


def reading(secret: str, key: bytes) -> str | None:
    """How the secret verifies a webhook that was signed with the key."""
    signer = f"whsec_{base64.b64encode(key).decode()}"
    headers = raw_headers(signed_headers("standard-webhooks", BODY, signer, timestamp=NOW))
    check_secret("standard-webhooks", secret)
    return verify("standard-webhooks", BODY, headers, ["whsec_b3RoZXI=", secret], NOW)


@pytest.mark.parametrize(
    "secret",
    [
        f"whsec_{STANDARD}",
        f"v1,whsec_{STANDARD}",
        STANDARD,
        f"whsec_{STANDARD.rstrip('=')}",
        f"whsec_{URL_SAFE}",
        URL_SAFE.rstrip("="),
    ],
)
def test_base64_is_read_as_specified(secret: str) -> None:
    assert reading(secret, KEY) is None


@pytest.mark.parametrize(
    "secret", ["polar_whs_Wn8vGqkVp1", f"whsec_{STANDARD}", f"v1,whsec_{STANDARD}", STANDARD]
)
def test_what_could_be_base64_may_be_meant_as_text(secret: str) -> None:
    assert reading(secret, secret.encode()) == "text"


@pytest.mark.parametrize("secret", ["my secret!", "whsec_abcde-fgz", "Grüße an alle"])
def test_what_cannot_be_base64_is_text(secret: str) -> None:
    assert reading(secret, secret.encode()) is None


@pytest.mark.parametrize("prefix", ["whsec_", "v1,whsec_"])
@pytest.mark.parametrize("text", ["plain text", "abzdf9hi"])
def test_a_secret_may_be_meant_as_text_without_its_prefix(prefix: str, text: str) -> None:
    assert reading(prefix + text, text.encode()) == "text without its prefix"


@pytest.mark.parametrize("secret", [f"whsec_{STANDARD}", "my secret!"])
@pytest.mark.parametrize("key", [b"whsec_", b"x", STANDARD[:-1].encode(), KEY[:-1]])
def test_no_other_key_verifies(secret: str, key: bytes) -> None:
    with pytest.raises(SignatureRejected, match="mismatch"):
        reading(secret, key)


def test_an_empty_key_never_verifies() -> None:
    mac = base64.b64encode(hmac.digest(b"", b"msg.%d." % NOW + BODY, hashlib.sha256))
    headers = [
        (b"webhook-id", b"msg"),
        (b"webhook-timestamp", b"%d" % NOW),
        (b"webhook-signature", b"v1," + mac),
    ]
    with pytest.raises(SignatureRejected, match="mismatch"):
        verify("standard-webhooks", BODY, headers, ["="], NOW)


@pytest.mark.parametrize(
    ("secret", "expected"),
    [(f"whsec_{STANDARD}", False), ("plain", False), ("whsec_!", True), ("v1,whsec_abcde", True)],
)
def test_a_secret_that_lost_a_letter_is_noticed(secret: str, expected: bool) -> None:
    assert is_damaged(secret) is expected
