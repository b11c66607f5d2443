"""Signed but invalid or hostile bodies: rejected with a reason, quickly, without a crash."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.events.parsing import parse
from service.events.strict_json import (
    MAX_DEPTH,
    MAX_INTEGER_DIGITS,
    InvalidEvent,
    canonical,
    decode,
)

MIB: Final = 1024 * 1024


def defect(body: bytes) -> str | None:
    try:
        decode(body)
    except InvalidEvent as unusable:
        return unusable.reason
    return None


def member(value: bytes) -> bytes:
    return b'{"id": "evt_1", "type": "t", "data": ' + value + b"}"


def nested(levels: int) -> bytes:
    """An object with lists in it, with so many levels in total."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


# Reasons


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe{}", "not_utf8"),
        (b'{"a": "\xe9"}', "not_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "not_utf8"),
        (b'{"a": "\xc0\x80"}', "not_utf8"),
        ('{"a": 1}'.encode("utf-16"), "not_utf8"),
        ('{"a": 1}'.encode("utf-16-le"), "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b"", "not_json"),
        (b" ", "not_json"),
        (b"payload=%7B%7D", "not_json"),
        (b"{", "not_json"),
        (b"{}{}", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1,}', "not_json"),
        (b'{"a": 01}', "not_json"),
        (b'{"a": "\n"}', "not_json"),
        (b"\xc2\xa0{}", "not_json"),
        (b"[]", "not_object"),
        (b"null", "not_object"),
        (b"1", "not_object"),
        (b'"text"', "not_object"),
        (b"true", "not_object"),
        (member(b"NaN"), "not_finite"),
        (member(b"Infinity"), "not_finite"),
        (member(b"-Infinity"), "not_finite"),
        (member(b"1e999"), "not_finite"),
        (member(b"-1e999"), "not_finite"),
        (b'{"a": 1, "a": 1}', "duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
        (b'{"id": "evt_1", "data": {"b": 1, "b": 2}}', "duplicate_key"),
        (member(b'"\\ud800"'), "lone_surrogate"),
        (member(b'"\\uDC00"'), "lone_surrogate"),
        (member(b'"\\ude00\\ud83d"'), "lone_surrogate"),
        (member(b'[["\\uD83D."]]'), "lone_surrogate"),
        (b'{"\\udfff": 1}', "lone_surrogate"),
        (b'{"id": "\\ud800"}', "lone_surrogate"),
        (member(b"9" * (MAX_INTEGER_DIGITS + 1)), "huge_number"),
        (member(b"-" + b"9" * 5000), "huge_number"),
        (member(b"9" * MIB), "huge_number"),
    ],
)
def test_an_invalid_body_is_rejected_with_its_reason(body: bytes, reason: str) -> None:
    assert defect(body) == reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"\\u0000"', "\0"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\xf0\x9f\x98\x80"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"1" * MAX_INTEGER_DIGITS, int("1" * MAX_INTEGER_DIGITS)),
        (b"-9007199254740993", -9007199254740993),
        (b"1.5e3", 1500.0),
        (b"1e-999", 0.0),
        (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
    ],
)
def test_unusual_json_is_accepted(text: bytes, value: object) -> None:
    assert decode(member(text))["data"] == value


def test_the_error_contains_nothing_of_the_body() -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode(b'{"password": "hunter2"')
    assert str(caught.value) == caught.value.reason == "not_json"


# Depth


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (nested(MAX_DEPTH), None),
        (nested(MAX_DEPTH + 1), "too_deep"),
        (nested(100_000), "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 100_000, "too_deep"),
        (b'[{"a":' * 100_000, "too_deep"),
        (member(b'"' + b"[" * 1000 + b'"'), None),
        (member(b'"\\"' + b"[" * 1000 + b'\\\\"'), None),
        (member(b"[" + b",".join([b"[]"] * 1000) + b"]"), None),
        (member(b'["\\\\",' + b"[" * 200 + b"]" * 200 + b"]"), "too_deep"),
        (b'"' + b"[" * 1000, "not_json"),
        (b"]" * 1000 + b"[" * 1000, "not_json"),
    ],
)
def test_depth_is_counted_outside_strings_and_limited(body: bytes, reason: str | None) -> None:
    assert defect(body) == reason


texts = st.text(alphabet='[]{}",:\\aé\n', max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), texts), min_size=90, max_size=110))
def test_only_nesting_outside_strings_counts(levels: list[tuple[bool, str]]) -> None:
    # Given
    document: Any = 1
    for as_list, text in levels:
        document = [text, document] if as_list else {text: document}
    if isinstance(document, list):
        document = {"": document}
        levels = [*levels, (False, "")]

    # When
    reason = defect(json.dumps(document, ensure_ascii=False).encode())

    # Then
    assert reason == (None if len(levels) <= MAX_DEPTH else "too_deep")


# Against the standard library's parser

scalars = st.none() | st.booleans() | st.integers(-(10**40), 10**40) | texts | st.text()
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


ways = st.sampled_from(
    [
        {"separators": (",", ":"), "ensure_ascii": False},
        {"indent": 2, "ensure_ascii": False},
        {"indent": 2},
        {},
    ]
)


@settings(deadline=None)
@given(document=st.dictionaries(st.text(), values, max_size=5), way=ways)
@example({"large": 1e16, "small": 1e-7, "whole": 1.0, "minus": -0.0}, {})
@example({"id": 2**64, "other": -(2**63) - 1, "text": '\x7f\u2028\x1f</"\\', "small": 1e-7}, {})
def test_the_canonical_form_does_not_depend_on_formatting(
    document: dict[str, Any], way: dict[str, Any]
) -> None:
    assert canonical(decode(json.dumps(document, **way).encode())) == canonical(document)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        # Fingerprints of a release are compared with those of every release after it.
        (b'{"b": 1, "a": [null, true, ""]}', b'{"a":[null,true,""],"b":1}'),
        (b'"\\u00e9\\/\\u007f\\u001f \xe2\x80\xa8"', b'"\xc3\xa9/\x7f\\u001f \xe2\x80\xa8"'),
        (b"[12.50, 1E2, -0.0, 0.1e1]", b"[12.5,100.0,-0.0,1.0]"),
        (b"18446744073709551616", b"18446744073709551616"),
        (b"[18446744073709551616, 12.50]", b"[18446744073709551616,12.5]"),
    ],
)
def test_the_canonical_form_is_stable(text: bytes, stays: bytes) -> None:
    assert canonical(decode(member(text))["data"]) == stays


@pytest.mark.parametrize("text", [b"0.0000001", b"1e-7", b"1.0E-07", b"10e-8"])
def test_a_number_is_the_same_however_it_is_written(text: bytes) -> None:
    assert canonical(decode(member(text))["data"]) == canonical(1e-7)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(body: bytes) -> None:
    assert defect(body) is not None or isinstance(json.loads(body), dict)


@settings(deadline=None)
@given(st.dictionaries(st.text(), values, max_size=5))
def test_the_canonical_form_does_not_depend_on_key_order(document: dict[str, Any]) -> None:
    turned = dict(reversed(list(document.items())))
    assert canonical(turned) == canonical(document)
    assert json.loads(canonical(document)) == document


# Time


def filled(unit: bytes) -> bytes:
    return member(b"[" + b",".join([unit] * (MIB // (len(unit) + 1) - 40)) + b"]")


HOSTILE: Final = {
    "unclosed lists": b"[" * MIB,
    "closed lists": nested(MIB // 2),
    "many lists": filled(b"[]"),
    "many deep lists": filled(b"[" * 90 + b"]" * 90),
    "many objects": filled(b'{"a":0}'),
    "many integers": filled(b"1"),
    "many floats": filled(b"2e-9"),
    "many keys": member(b"{" + b",".join(b'"%x":0' % i for i in range(MIB // 11)) + b"}"),
    "one long float": member(b"0." + b"7" * MIB),
    "one long exponent": member(b"1e" + b"0" * MIB),
    "escaped quotes": b"[" * 100 + b'{"' + b'\\"' * (MIB // 2),
    "backslashes": b"[" * 101 + b'"' + b"\\" * MIB,
    "quotes": b"[" * 101 + b'"' * MIB,
    "surrogates": member(b'"' + b"\\ud83d\\ude00" * (MIB // 12) + b'\\ud83d"'),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_mebibyte_takes_linear_time(body: bytes) -> None:
    started = time.process_time()
    with suppress(InvalidEvent):
        parse("stripe", body, [])
    # About 0.15 s at worst on an ordinary core; anything quadratic takes minutes.
    assert time.process_time() - started < 3
