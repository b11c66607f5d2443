"""How long a text may be, in the units of each kind of write."""

from __future__ import annotations

import pytest

from service.instagram.limits import cautions, excess

PARTY = "\U0001f389"


@pytest.mark.parametrize(("kind", "most"), [("dm", 1000), ("comment", 2200)])
@pytest.mark.parametrize("char", ["x", "\u00e9", "\u20ac", PARTY], ids=["x", "é", "€", "emoji"])
def test_a_text_is_limited_in_characters(kind: str, most: int, char: str) -> None:
    assert excess(kind, char * most) is None
    message = excess(kind, char * (most + 1))
    assert message is not None
    assert message.startswith(f"has {most + 1} characters, and a ")
    assert f"takes at most {most}: shorten it" in message


def test_an_ordinary_text_has_no_cautions() -> None:
    assert cautions("dm", "x" * 1000) == []
    assert cautions("comment", "x" * 2200) == []
    assert cautions("comment", "Lovely @jenny #shop https://example.com/a#b a@b.com & C# 50%") == []


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("dm", PARTY * 501, ["has 1002 UTF-16 units", "has 2004 bytes in UTF-8"]),
        ("dm", "\u0436" * 501, ["has 1002 bytes in UTF-8"]),
        ("comment", PARTY * 1101, ["has 2202 UTF-16 units"]),
        ("comment", "https://a.example and http://b.example/#x", ["has 2 links"]),
        ("comment", "www.a.example www.b.example https://www.c.example", ["has 3 links"]),
        ("comment", "#tag " * 31, ["has 31 hashtags"]),
        ("comment", "@jenny.rosen, " * 11, ["has 11 mentions"]),
    ],
)
def test_what_instagram_may_refuse_is_named_with_its_unit(
    kind: str, text: str, words: list[str]
) -> None:
    found = cautions(kind, text)
    assert len(found) == len(words)
    for caution, start in zip(found, words, strict=True):
        assert caution.startswith(start)
        assert f"; Instagram may refuse a {'DM' if kind == 'dm' else kind} with more" in caution


def test_a_dm_may_have_links_hashtags_and_mentions() -> None:
    assert cautions("dm", "https://a.example @b #c " * 20) == []


def test_a_refused_text_has_no_cautions() -> None:
    assert cautions("dm", PARTY * 1001) == []
