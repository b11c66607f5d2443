"""Verifies the signature of a webhook: a MAC over its raw body, and a recent timestamp.

Pure: the secrets and the current time are arguments.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Sequence
from typing import Final

from service.credentials.strength import check_sender_secret
from service.signatures.schemes import (
    SCHEMES_BY_NAME,
    Headers,
    ParsedSignature,
    Scheme,
    SignatureRejected,
)
from service.signatures.secret_readings import Reading, SecretKey

__all__ = ["SCHEMES", "TOLERANCE_SECONDS", "Headers", "SignatureRejected", "check_secret", "verify"]

SCHEMES: Final[tuple[str, ...]] = tuple(SCHEMES_BY_NAME)

#: How far a signed time may differ from this clock (Stripe, Standard Webhooks, Slack).
TOLERANCE_SECONDS: Final = 300


def verify(
    scheme: str, body: bytes, headers: Headers, secrets: Sequence[str], now: float
) -> Reading | None:
    """Verify that one of the secrets signed the webhook, and did so recently.

    Parameters:
      scheme: One of `SCHEMES`.
      body: The bytes as received; never decoded and encoded again.
      headers: Raw pairs, names in lower case.
      secrets: One, or several during a rotation; each has passed `check_secret`.
      now: Unix seconds.

    Returns:
      None if the secret was meant as the scheme says, else how it was meant.

    Raises:
      SignatureRejected: Its reason is for logs and metrics only.
      ValueError: There is no secret, an empty one, or no such scheme: a configuration error.
    """
    found = _find_scheme(scheme)
    if not secrets:
        raise ValueError("no secret to verify with: configure the source's secrets")
    keys = [_keys(scheme, secret) for secret in secrets]
    parsed = found.read(headers)
    reading = _fitting_reading(keys, found, parsed, body)
    # After the MAC, so that `stale` and `clock_skew` are only counted for authentic senders.
    _check_age(parsed.sent_at, now)
    return reading


def check_secret(scheme: str, secret: str) -> None:
    """Check that a secret is usable, so that a bad one stops the process at boot.

    Parameters:
      scheme: One of `SCHEMES`.
      secret: As configured.

    Raises:
      ValueError: The message says what is wrong and what to do, without the secret.
    """
    next(_find_scheme(scheme).keys(secret))
    if secret != secret.strip():
        raise ValueError("the secret begins or ends with white space: remove it")
    check_sender_secret(secret)


@functools.lru_cache(maxsize=256)
def _keys(scheme: str, secret: str) -> Sequence[SecretKey]:
    return tuple(_find_scheme(scheme).keys(secret))


def _find_scheme(scheme: str) -> Scheme:
    if scheme not in SCHEMES_BY_NAME:
        raise ValueError(f"unknown signature scheme: use one of {', '.join(SCHEMES)}")
    return SCHEMES_BY_NAME[scheme]


def _fitting_reading(
    keys: Sequence[Sequence[SecretKey]], found: Scheme, parsed: ParsedSignature, body: bytes
) -> Reading | None:
    message = parsed.prefix + body
    for readings in keys:
        for position, (reading, key) in enumerate(readings):
            if _signed_by(key, found, parsed, message):
                return reading if position else None
    raise SignatureRejected("mismatch")


def _signed_by(key: bytes, found: Scheme, parsed: ParsedSignature, message: bytes) -> bool:
    expected = found.encode(hmac.digest(key, message, "sha256"))
    return any(hmac.compare_digest(expected, signature) for signature in parsed.signatures)


def _check_age(sent_at: int | None, now: float) -> None:
    if sent_at is None:
        return
    if sent_at < now - TOLERANCE_SECONDS:
        raise SignatureRejected("stale")
    if sent_at > now + TOLERANCE_SECONDS:
        raise SignatureRejected("clock_skew")
