"""Event types and the patterns of rules: exact, globs, and brackets that mean themselves."""

from __future__ import annotations

import time

import pytest

from service.events.type_patterns import compile_patterns

RECIPIENT = "v2.core.account[configuration.recipient].capability_status_updated"


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        (RECIPIENT, RECIPIENT, True),
        ("v2.core.account[*].capability_status_updated", RECIPIENT, True),
        ("v2.core.account[configuration.recipient].*", RECIPIENT, True),
        ("v2.core.account[?onfiguration.recipient].*", RECIPIENT, True),
        ("v2.core.account[requirements].updated", "v2.core.account[requirements].updated", True),
        ("v2.core.account[requirements].updated", "v2.core.accountr.updated", False),
        ("v2.core.account[requirements].*", "v2.core.accountr.updated", False),
        ("order.[pc]*", "order.paid", False),
        ("order.[!p]*", "order.canceled", False),
        ("order.[!p]*", "order.[!p]aid", True),
        ("[[]", "[[]", True),
        ("]*[", "]x[", True),
        ("a.c", "abc", False),
        ("order.*", "order.\npaid", True),
        ("order.*", "reorder.paid", False),
        ("order.?", "order.", False),
        ("*", "", True),
        ("?*", "", False),
    ],
)
def test_only_stars_and_question_marks_are_wildcards(
    pattern: str, event_type: str, expected: bool
) -> None:
    assert compile_patterns([pattern])(event_type) is expected


def test_any_of_several_patterns_is_enough() -> None:
    matches = compile_patterns(["a.*", "b", "?.d"])
    assert [matches(each) for each in ("a.x", "b", "c.d", "c.e", "bb")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_many_stars_take_no_time() -> None:
    matches = compile_patterns(["*a" * 30 + "b"])
    begun = time.perf_counter()
    assert not matches("a" * 255)
    assert time.perf_counter() - begun < 0.1
