"""Strict JSON: rejects bodies that two JSON parsers could understand differently."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final, Literal, NoReturn

import orjson

MAX_DEPTH: Final = 100
MAX_INTEGER_DIGITS: Final = 100

InvalidReason = Literal[
    "not_utf8",
    "not_json",
    "not_form",
    "not_object",
    "too_deep",
    "huge_number",
    "duplicate_key",
    "not_finite",
    "lone_surrogate",
    "no_identity",
]

_SPACES: Final = b" \t\r\n"
_STRING: Final = re.compile(rb'"[^"]*"?')
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and -1 as signed bytes
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))


class InvalidEvent(Exception):
    """An authentic webhook that cannot be processed; it is quarantined for the operator.

    Parameters:
      reason: A code for logs, metrics and the dashboard.
    """

    def __init__(self, reason: InvalidReason) -> None:
        super().__init__(reason)
        self.reason: InvalidReason = reason


def decode(body: bytes) -> dict[str, Any]:
    """Parse a body as one JSON object.

    Parameters:
      body: The raw bytes, limited by the caller; the time taken is proportional to their number.

    Raises:
      InvalidEvent: The body is not UTF-8 or not JSON (a byte order mark is neither), not an object,
        is nested deeper than `MAX_DEPTH`, or has a duplicate key in an object, an integer of more
        than `MAX_INTEGER_DIGITS`, a number that is not finite, or a lone surrogate.
    """
    _check_depth(body)
    document = _parse_plain(body)
    if document is None:
        document = _parse(_decode_utf8(body))
    if not isinstance(document, dict):
        raise InvalidEvent("not_object")
    return document


def canonical(value: object) -> bytes:
    """Encode a value from `decode` in a form that depends on neither key order nor spacing."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers of more than 64 bits
        return _ENCODER.encode(value).encode()


def _decode_utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidEvent("not_utf8") from None


def _check_depth(body: bytes) -> None:
    # Before parsing, because the parser recurses and the depth it can reach depends on the caller.
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    steps = _STRING.sub(b"", unescaped).translate(_STEPS, _NOT_BRACKETS)
    if max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH:
        raise InvalidEvent("too_deep")


def _parse_plain(body: bytes) -> Any:
    """Parse with orjson; None if the result does not encode to the same bytes, spaces apart.

    orjson accepts duplicate keys and rounds long numbers. What it writes then differs from what it
    read, and the strict but slower parser decides.
    """
    try:
        document = orjson.loads(body)
        written = orjson.dumps(document)
    except ValueError:
        return None
    plain = body.translate(None, _SPACES) == written.translate(None, _SPACES)
    return document if plain else None


def _parse(text: str) -> Any:
    try:
        document = _DECODER.decode(text)
    except ValueError:
        raise InvalidEvent("not_json") from None
    if "\\ud" in text or "\\uD" in text:
        _check_surrogates(document)
    return document


def _check_surrogates(document: object) -> None:
    # UTF-8 has no surrogates, so they come from escapes; pairs have been joined by the parser.
    try:
        canonical(document)
    except UnicodeEncodeError:
        raise InvalidEvent("lone_surrogate") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidEvent("duplicate_key")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise InvalidEvent("huge_number")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidEvent("not_finite")
    return number


def _refuse_constant(_name: str) -> NoReturn:
    raise InvalidEvent("not_finite")


_NUMBERS: Final[Mapping[str, Any]] = {
    "parse_int": _integer,
    "parse_float": _finite_float,
    "parse_constant": _refuse_constant,
}
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_members, **_NUMBERS)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
)
