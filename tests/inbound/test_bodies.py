"""Bodies that are signed but useless, or hostile: refused by name, quickly, without a crash."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.inbound.bodies import MAX_DEPTH, MAX_INTEGER_DIGITS, Unusable, canonical, decode
from service.inbound.events import parse

MIB: Final = 1024 * 1024


def defect(body: bytes) -> str | None:
    try:
        decode(body)
    except Unusable as unusable:
        return unusable.reason
    return None


def member(value: bytes) -> bytes:
    return b'{"id": "evt_1", "type": "t", "data": ' + value + b"}"


def nested(levels: int) -> bytes:
    """An object with lists in it, so many levels in all."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


# Refused by name


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
def test_a_useless_body_is_refused_by_name(body: bytes, reason: str) -> None:
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
def test_what_is_merely_unusual_is_read(text: bytes, value: object) -> None:
    assert decode(member(text))["data"] == value


def test_the_reason_carries_nothing_of_the_body() -> None:
    with pytest.raises(Unusable) as caught:
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
def test_depth_is_counted_outside_strings_and_bounded(body: bytes, reason: str | None) -> None:
    assert defect(body) == reason


texts = st.text(alphabet='[]{}",:\\aé\n', max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), texts), min_size=90, max_size=110))
def test_whatever_the_strings_say_only_real_nesting_counts(levels: list[tuple[bool, str]]) -> None:
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


@settings(deadline=None)
@given(document=st.dictionaries(st.text(), values, max_size=5), ascii_only=st.booleans())
def test_any_honest_document_is_read_as_it_was_written(
    document: dict[str, Any], ascii_only: bool
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert decode(body) == document


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet='{}[]":,\\udDc8 0019eE+-.tfnNI\n', max_size=40).map(str.encode))
@example(b'{"":{"":0,"":0}}')
def test_near_json_is_refused_or_read_as_the_standard_library_reads_it(body: bytes) -> None:
    reason = defect(body)
    if reason is None:
        assert decode(body) == json.loads(body)
    elif reason == "not_json":
        with pytest.raises(ValueError):
            json.loads(body)


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise KeyError
    return dict(pairs)


def names_a_key_twice(body: bytes) -> bool:
    """As a parser sees it that is shown every member."""
    try:
        json.loads(body, object_pairs_hook=members)
    except KeyError:
        return True
    return False


keys = st.sampled_from(
    ["a", "b", "a:", ":", "\\u003a", "\\u0061", "a\\\\u003a", '\\":', "\\/a", "/a"]
)
colons = st.sampled_from([":", " : ", "\n:"])
literals = st.sampled_from(["1", "1.5", "null", '":"', '"\\u003A:"', '"a\\":"', "[]", "{}"])


def written(items: list[tuple[str, str, str]]) -> str:
    return "{" + ",".join(f'"{key}"{colon}{value}' for key, colon, value in items) + "}"


objects = st.recursive(
    literals,
    lambda inner: st.lists(st.tuples(keys, colons, inner), max_size=4).map(written),
    max_leaves=12,
).filter(lambda text: text.startswith("{"))


@settings(deadline=None, max_examples=500)
@given(objects.map(str.encode))
@example(b'{"a":1,"a":2,"b":"\\u003a"}')
@example(b'{"a":1,"\\u0061":2}')
@example(b'{"a":{"b":1,"b":1},"c":"::"}')
@example(b'{"a":2.5,"a":2.5}')
def test_a_key_that_is_there_twice_is_never_overlooked(body: bytes) -> None:
    assert (defect(body) == "duplicate_key") is names_a_key_twice(body)


@settings(deadline=None)
@given(document=st.dictionaries(st.text(), values, max_size=5))
@example({"large": 1e16, "small": 1e-7, "whole": 1.0, "minus": -0.0})
@example({"id": 2**64, "other": -(2**63) - 1, "text": '\x7f\u2028\x1f</"\\'})
def test_the_canonical_form_is_what_the_standard_library_writes(document: dict[str, Any]) -> None:
    # Fingerprints of a release are compared with those of every release after it.
    written = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert canonical(decode(json.dumps(document).encode())) == written.encode()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_crash(body: bytes) -> None:
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
def test_a_hostile_mebibyte_takes_time_in_proportion_not_more(body: bytes) -> None:
    started = time.process_time()
    with suppress(Unusable):
        parse("stripe", body, [])
    # About 0.15 s at worst on an ordinary core; anything quadratic takes minutes.
    assert time.process_time() - started < 3
