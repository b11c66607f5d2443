"""What a reader cannot see is removed; what belongs to an emoji stays."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.unicode_text.invisible import strip_invisible


@pytest.mark.parametrize(
    "character",
    [
        *("\x00", "\x07", "\x1b", "\x7f", "\x9f"),
        *("\u202a", "\u202e", "\u2066", "\u2069", "\u061c", "\u200e"),
        *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\u3164", "\u2800"),
        *("\ufe0f", "\ufe00", "\u180e", "\ufffc", "\ufff9", "\U000e0041", "\U000e0100"),
    ],
)
def test_an_invisible_character_is_removed(character: str) -> None:
    assert strip_invisible(f"Jen{character}ny") == "Jenny"


@pytest.mark.parametrize(
    "emoji", ["❤️", "👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏳️‍🌈", "🏴‍☠️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "🇩🇪", "🧑🏻‍❤️‍💋‍🧑🏼", "👁️‍🗨️", "☺️"]
)
def test_an_emoji_stays_whole(emoji: str) -> None:
    assert strip_invisible(f"Jenny {emoji}!") == f"Jenny {emoji}!"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u200d👨\u200d", "a👨"),
        ("👨\u200da", "👨a"),
        ("a\ufe0f👨\ufe0f\ufe0f", "a👨\ufe0f"),
        ("🏴\U000e0065\U000e0076\U000e0069\U000e006c\U000e007f", "🏴"),
        ("7\ufe0f", "7"),
    ],
)
def test_a_joiner_outside_of_an_emoji_is_removed(text: str, expected: str) -> None:
    assert strip_invisible(text) == expected


def test_lines_stay_lines_and_tabs_become_spaces() -> None:
    assert strip_invisible("a\r\nb\rc\u2028d\u2029e\x0bf\x85g\th\n") == "a\nb\nc\nd\ne\nf\ng h\n"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    left = strip_invisible(text)

    assert not [each for each in left if unicodedata.category(each) == "Cc" and each != "\n"]
    assert strip_invisible(left) == left
