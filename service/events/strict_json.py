"""A signed body, read strictly: what two JSON parsers could understand differently is refused."""

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

Defect = Literal[
    "not_utf8",
    "not_json",
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
    """An authentic delivery that says nothing we can act on: it is kept aside for the operator.

    Parameters:
      reason: a word for logs, metrics and the operator's page.
    """

    def __init__(self, reason: Defect) -> None:
        super().__init__(reason)
        self.reason: Defect = reason


def decode(body: bytes) -> dict[str, Any]:
    """Read a body as one JSON object.

    Parameters:
      body: the raw bytes, bounded by the caller; the work grows in proportion to them.

    Raises:
      Unusable: not UTF-8 or not JSON (a byte order mark is neither), not an object, nested deeper
        than `MAX_DEPTH`, a key twice in one object, an integer of more than `MAX_INTEGER_DIGITS`,
        a number that is not finite, or half a surrogate pair.
    """
    _check_depth(body)
    document = _parse_plain(body)
    if document is None:
        document = _parse(_text(body))
    if not isinstance(document, dict):
        raise InvalidEvent("not_object")
    return document


def canonical(value: object) -> bytes:
    """Write what `decode` gave in the one way that depends on neither key order nor spacing."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers of more than 64 bits
        return _ENCODER.encode(value).encode()


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidEvent("not_utf8") from None


def _check_depth(body: bytes) -> None:
    # Before parsing: the parser recurses, and how deep it may go depends on whoever calls.
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    steps = _STRING.sub(b"", unescaped).translate(_STEPS, _NOT_BRACKETS)
    if max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH:
        raise InvalidEvent("too_deep")


def _parse_plain(body: bytes) -> Any:
    """Parse what orjson understands as it stands; None for everything else.

    It overlooks a key that is there twice, rounds what is too long, and reads half a pair. But what
    it writes then is something else than what it has read, spaces apart.
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
    # UTF-8 holds no surrogates, so they can only come from escapes; pairs have been joined by now.
    try:
        canonical(document)
    except UnicodeEncodeError:
        raise InvalidEvent("lone_surrogate") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidEvent("duplicate_key")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise InvalidEvent("huge_number")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidEvent("not_finite")
    return number


def _refuse_constant(_name: str) -> NoReturn:
    raise InvalidEvent("not_finite")


_NUMBERS: Final[Mapping[str, Any]] = {
    "parse_int": _integer,
    "parse_float": _finite,
    "parse_constant": _refuse_constant,
}
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, **_NUMBERS)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
)
