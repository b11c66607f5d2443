"""How each provider signs: the headers, the signed content and the encoding of the MAC.

Scheme            | Headers                                               | Signed       | MAC
------------------|-------------------------------------------------------|--------------|--------
stripe            | `Stripe-Signature: t=,v1=[,v1=]`                      | `t.body`     | hex
standard-webhooks | `webhook-id`, `-timestamp`, `-signature`, or `svix-*` | `id.ts.body` | base64
github            | `X-Hub-Signature-256: sha256=`                        | body         | hex
shopify           | `X-Shopify-Hmac-Sha256`, or `Shopify-Hmac-Sha256`     | body         | base64
paddle            | `Paddle-Signature: ts=;h1=[;h1=]`                     | `ts:body`    | hex
slack             | `X-Slack-Signature: v0=`, `X-Slack-Request-Timestamp` | `v0:ts:body` | hex

Every MAC is HMAC-SHA256. The key is the secret's text, except for Standard Webhooks, whose secret
is base64 (`secret_readings.py`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Literal

from service.signatures.secret_readings import SecretKey, standard_webhooks_keys, text_keys

#: Raw headers as in ASGI: lower-case names, values in latin-1, duplicates kept.
Headers = Sequence[tuple[bytes, bytes]]

RejectionReason = Literal[
    "missing", "duplicate_header", "malformed", "stale", "clock_skew", "mismatch", "too_long"
]

MAX_HEADER_BYTES: Final = 8 * 1024
MAX_SIGNATURES: Final = 1000
MAX_TIMESTAMP_DIGITS: Final = 20

#: Shopify's Events send both families, its webhooks only the older one (detectWebhookType,
#: packages/apps/shopify-api/lib/webhooks/validate.ts of Shopify/shopify-app-js).
SHOPIFY_FAMILIES: Final = (b"shopify-", b"x-shopify-")


class SignatureRejected(Exception):
    """A webhook without a valid signature; nothing of it may be stored.

    Parameters:
      reason: A code for logs and metrics; never part of the input, never shown to the sender.
    """

    def __init__(self, reason: RejectionReason) -> None:
        super().__init__(reason)
        self.reason: RejectionReason = reason


@dataclass(frozen=True)
class ParsedSignature:
    """The signature headers of one webhook, parsed but not verified.

    Parameters:
      signatures: Encoded MACs; one that matches is enough.
      prefix: The bytes that are signed before the body.
      sent_at: Unix seconds; None if the scheme signs no time.
    """

    signatures: Sequence[bytes]
    prefix: bytes = b""
    sent_at: int | None = None


@dataclass(frozen=True)
class Scheme:
    """How one provider signs.

    Parameters:
      read: Parses the headers; raises SignatureRejected.
      keys: Converts a configured secret to the keys that it may stand for, the most likely first;
        raises ValueError.
      encode: Encodes a digest.
    """

    read: Callable[[Headers], ParsedSignature]
    keys: Callable[[str], Iterator[SecretKey]]
    encode: Callable[[bytes], bytes]


def standard_webhooks_family(headers: Headers) -> bytes | None:
    """Return the header prefix of a Standard Webhooks sender.

    The event's id must be read from the same family as the signature, because the other's is not
    signed.

    Returns: `webhook-` or `svix-`; None if neither set of headers is complete.
    """
    present = {name for name, value in headers if value}
    for family in (b"webhook-", b"svix-"):
        if present.issuperset(family + part for part in (b"id", b"timestamp", b"signature")):
            return family
    return None


def _single_header(headers: Headers, name: bytes) -> bytes:
    values = [value for key, value in headers if key == name]
    if len(values) > 1:
        raise SignatureRejected("duplicate_header")
    if not values or not values[0]:
        raise SignatureRejected("missing")
    if len(values[0]) > MAX_HEADER_BYTES:
        raise SignatureRejected("too_long")
    return values[0]


def _unix_seconds(digits: bytes) -> int:
    # bytes.isdigit accepts ASCII digits only: no sign, space, underscore or other scripts' digits.
    if not digits.isdigit() or len(digits) > MAX_TIMESTAMP_DIGITS:
        raise SignatureRejected("malformed")
    return int(digits)


def _check_count(signatures: Sequence[bytes]) -> Sequence[bytes]:
    if not signatures:
        raise SignatureRejected("missing")
    if len(signatures) > MAX_SIGNATURES:
        raise SignatureRejected("too_long")
    return signatures


def _values(items: Sequence[Sequence[bytes]], name: bytes) -> list[bytes]:
    found = [item for item in items if item[0] == name]
    if any(len(item) == 1 for item in found):
        raise SignatureRejected("malformed")
    return [item[1] for item in found]


def _read_list(header: bytes, separator: bytes, time: bytes, mac: bytes) -> tuple[int, list[bytes]]:
    """Parse `t=1,v1=a,v1=b` like `stripe.WebhookSignature` does.

    The first time counts, text after a second `=` is ignored, spaces belong to the name or value
    next to them, and unknown names are skipped.
    """
    items = [item.split(b"=") for item in header.split(separator)]
    times = _values(items, time)
    if not times:
        raise SignatureRejected("malformed")
    return _unix_seconds(times[0]), _values(items, mac)


def _read_stripe(headers: Headers) -> ParsedSignature:
    sent_at, signatures = _read_list(
        _single_header(headers, b"stripe-signature"), b",", b"t", b"v1"
    )
    # The official library raises at the first non-ASCII MAC; a match before it counts.
    readable = list(takewhile(bytes.isascii, _check_count(signatures)))
    return ParsedSignature(readable, b"%d." % sent_at, sent_at)


def _read_paddle(headers: Headers) -> ParsedSignature:
    sent_at, signatures = _read_list(
        _single_header(headers, b"paddle-signature"), b";", b"ts", b"h1"
    )
    return ParsedSignature(_check_count(signatures), b"%d:" % sent_at, sent_at)


def _read_standard_webhooks(headers: Headers) -> ParsedSignature:
    family = standard_webhooks_family(headers)
    if family is None:
        raise SignatureRejected("missing")
    event_id = _single_header(headers, family + b"id")
    sent_at = _unix_seconds(_single_header(headers, family + b"timestamp"))
    tokens = [
        token.partition(b",")
        for token in _single_header(headers, family + b"signature").split(b" ")
    ]
    signatures = [mac for version, _, mac in tokens if version == b"v1"]
    return ParsedSignature(_check_count(signatures), b"%b.%d." % (event_id, sent_at), sent_at)


def _without_prefix(prefix: bytes, value: bytes) -> bytes:
    if not value.startswith(prefix):
        raise SignatureRejected("malformed")
    return value.removeprefix(prefix)


def _read_github(headers: Headers) -> ParsedSignature:
    return ParsedSignature(
        [_without_prefix(b"sha256=", _single_header(headers, b"x-hub-signature-256"))]
    )


def _read_shopify(headers: Headers) -> ParsedSignature:
    present = {name for name, value in headers if value}
    names = [family + b"hmac-sha256" for family in SHOPIFY_FAMILIES]
    sent = [name for name in names if name in present] or names[-1:]
    return ParsedSignature([_single_header(headers, name) for name in sent])


def _read_slack(headers: Headers) -> ParsedSignature:
    mac = _without_prefix(b"v0=", _single_header(headers, b"x-slack-signature"))
    sent_at = _unix_seconds(_single_header(headers, b"x-slack-request-timestamp"))
    return ParsedSignature([mac], b"v0:%d:" % sent_at, sent_at)


SCHEMES_BY_NAME: Final[Mapping[str, Scheme]] = {
    "stripe": Scheme(_read_stripe, text_keys, binascii.hexlify),
    "standard-webhooks": Scheme(_read_standard_webhooks, standard_webhooks_keys, base64.b64encode),
    "github": Scheme(_read_github, text_keys, binascii.hexlify),
    "shopify": Scheme(_read_shopify, text_keys, base64.b64encode),
    "paddle": Scheme(_read_paddle, text_keys, binascii.hexlify),
    "slack": Scheme(_read_slack, text_keys, binascii.hexlify),
}
