"""Proof that a delivery comes from whom it says: a MAC over its raw body, and a recent time.

Pure: the secrets and the clock come in as arguments.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from service.signatures.schemes import BY_NAME, Headers, ParsedSignature, Scheme, SignatureRejected

__all__ = ["SCHEMES", "TOLERANCE_SECONDS", "Headers", "SignatureRejected", "check_secret", "verify"]

SCHEMES: Final[tuple[str, ...]] = tuple(BY_NAME)

#: How old, or how far ahead of this clock, a signed time may be (Stripe, Standard Webhooks, Slack).
TOLERANCE_SECONDS: Final = 300


def verify(scheme: str, body: bytes, headers: Headers, secrets: Sequence[str], now: float) -> None:
    """Refuse a delivery that none of the secrets signed lately.

    Parameters:
      scheme: one of `SCHEMES`.
      body: the bytes as they arrived; never decoded and encoded again.
      headers: raw pairs, names in lower case.
      secrets: one, or several while rotating; each has passed `check_secret`.
      now: Unix seconds.

    Raises:
      SignatureRefused: with the reason, for logs and metrics only.
      ValueError: there is no secret, an empty one, or no such scheme: our fault, not the sender's.
    """
    way = _named(scheme)
    if not secrets:
        raise ValueError("no secret to verify with: configure the source's secrets")
    keys = [way.key(secret) for secret in secrets]
    claim = way.read(headers)
    if not _signed_by_any(keys, way, claim, body):
        raise SignatureRejected("mismatch")
    # After the MAC: so that `stale` and `clock_skew` tell of real senders, not of passers-by.
    if claim.sent_at is not None:
        _check_age(claim.sent_at, now)


def check_secret(scheme: str, secret: str) -> None:
    """Refuse a secret that could never verify anything, so that it stops the process at boot.

    Parameters:
      scheme: one of `SCHEMES`.
      secret: as configured.

    Raises:
      ValueError: what is wrong and what to do, without the secret.
    """
    _named(scheme).key(secret)
    if secret != secret.strip():
        raise ValueError("the secret begins or ends with white space: remove it")


def _named(scheme: str) -> Scheme:
    if scheme not in BY_NAME:
        raise ValueError(f"unknown signature scheme: use one of {', '.join(SCHEMES)}")
    return BY_NAME[scheme]


def _signed_by_any(keys: Sequence[bytes], way: Scheme, claim: ParsedSignature, body: bytes) -> bool:
    message = claim.prefix + body
    return any(_signed_by(key, way, claim, message) for key in keys)


def _signed_by(key: bytes, way: Scheme, claim: ParsedSignature, message: bytes) -> bool:
    expected = way.encode(hmac.digest(key, message, "sha256"))
    return any(hmac.compare_digest(expected, signature) for signature in claim.signatures)


def _check_age(sent_at: int, now: float) -> None:
    if sent_at < now - TOLERANCE_SECONDS:
        raise SignatureRejected("stale")
    if sent_at > now + TOLERANCE_SECONDS:
        raise SignatureRejected("clock_skew")
