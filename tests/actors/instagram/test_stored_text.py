"""Comparison of texts: what Instagram changes, and what only another job could have written."""

from __future__ import annotations

import pytest

from actors.instagram.stored_text import has_link, is_alike, is_same

LONG = "Thank you so much for your order, it leaves our workshop in Lyon tomorrow morning"
PATH = "https://shop.example.com/orders/2026/11/receipt"

# Sent, and how it is shown.
SAME = [
    ("Lovely!\n\n\nSee you", "Lovely! See you"),
    ("  Lovely!\r\n", "Lovely!"),
    ("Lovely \n photo", "Lovely\nphoto"),
    ("two\u00a0words\u2003here", "two words here"),
    ("line\u2028break", "line break"),
    ("\u2063\nin\u200bvis\ufeffible\u200f", "invisible"),
    ("Cafe\u0301 \u1e9b\u0323", "Caf\u00e9 \u1e69"),
    ("\u2764\ufe0f thanks", "\u2764 thanks"),
    ("\u3164filler\u2800", "filler"),
    ("Fish & chips <3", "Fish &amp; chips &lt;3"),
    ("It\u2019s \u201cyours\u201d \u2013 yes\u2026", 'It\'s "yours" - yes...'),
    ("Thanks @Jenny.Rosen!", "Thanks @jenny.rosen!"),
    ("#ThankYou all", "#thankyou all"),
    ("See https://www.Example.com/Shop/", "See example.com/Shop"),
    ("See http://example.com", "See https://example.com"),
    ("(https://example.com/a).", "(example.com/a"),
    ("https://example.com/?utm_source=ig&id=7&fbclid=x", "https://example.com/?id=7"),
    (f"See {PATH}", "See https://l.instagram.com/?u=https%3A%2F%2F" + PATH[8:] + "&e=AT0"),
    (f"See {PATH} now", "See shop.example.com/orders/2026\u2026 now"),
    ("https://example.com/caf\u00e9", "https://example.com/caf%C3%A9"),
]


@pytest.mark.parametrize(("sent", "shown"), SAME)
def test_a_text_is_the_same_however_instagram_writes_it(sent: str, shown: str) -> None:
    assert is_same(shown, sent)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Lovely!", ""),
        ("", "Lovely!"),
        ("Lovely!", "lovely!"),
        ("two words", "twowords"),
        ("https://example.com/A", "https://example.com/a"),
        ("https://example.com/?id=7", "https://example.com/?id=8"),
        (f"See {PATH}", "See shop.example.com\u2026"),
        ("waiting for you", "wait... for you"),
        ("@anna", "@anne"),
    ],
)
def test_other_texts_are_not_the_same(sent: str, shown: str) -> None:
    assert not is_same(shown, sent)


# Sent, and what may have become of it.
ALIKE = [
    ("Lovely, thanks!", "lovely thanks"),
    ("ok!", "OK"),
    ("Très bien", "Tres bien"),
    ("\U0001f44d\U0001f3fd", "\U0001f44d"),
    (LONG, LONG[:60] + "\u2026"),
    (LONG * 3, (LONG * 3)[:200]),
    ("Thank you so much @jenny.rosen", "Thank you so much"),
    ("Thank you so much #shop #lyon", "Thank you so much #shop"),
    (f"Your receipt is ready: {PATH}", "Your receipt is ready:"),
    (f"Your receipt: {PATH}", "Your receipt: shop.example.com"),
    (f"{PATH}?order=7", PATH),
]


@pytest.mark.parametrize(("sent", "shown"), ALIKE)
def test_a_text_that_may_have_been_changed_is_alike(sent: str, shown: str) -> None:
    assert is_alike(shown, sent)
    assert not is_same(shown, sent)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("ok", "ko"),
        ("Nice", "Nice shot"),
        ("Nice shot", "Nice"),
        ("!!!", "???"),
        ("\U0001f389", "\U0001f44d"),
        ("Lovely!", ""),
        ("Thank you, Anna!", "Thank you, Anne!"),
        ("Thank you, Anna!", "Thank you!"),
        ("Thanks @anna", "Thanks @bob"),
        ("Thanks @anna", "Thanks"),
        ("Your order number 12", "Your order number 1"),
        (LONG + ", order 12", LONG + ", order 1"),
        (LONG * 2 + " 12", LONG * 2 + " 1"),
        (LONG + " Anna", LONG + " Anne"),
        (f"Your receipt: {PATH}/AAA", f"Your receipt: {PATH}/BBB"),
    ],
)
def test_what_another_job_may_have_written_is_not_alike(sent: str, shown: str) -> None:
    assert not is_alike(shown, sent)


def test_a_card_shows_a_link_of_the_text() -> None:
    sent = f"Your receipt: {PATH}?order=7 and https://example.org"
    assert has_link(sent, f"{PATH}?order=7")
    assert has_link(sent, PATH)
    assert has_link(sent, "https://www.example.org/")
    assert not has_link(sent, f"{PATH}?order=8")
    assert not has_link(sent, "")
    assert not has_link("No link", PATH)
