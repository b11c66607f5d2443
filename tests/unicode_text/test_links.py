"""What an app would make a link of, and what is written so that a reader does."""

from __future__ import annotations

import time

import pytest

from service.unicode_text.links import find_links, remove_links

LINKS = [
    *("evil.com", "EVIL.COM", "Evil.Co.Uk", "a.b.evil.shop", "evil.example", "shop.xyz/path?x=1#y"),
    *("https://evil", "http://evil.example", "ftp://evil", "hxxp://evil.com", "hxxps://evil[.]com"),
    *("http:\\\\evil.com", "https:/evil.com", "//evil.com", "http://3232235777", "http://[::1]/"),
    *("www.evil.whatever", "t.me/evil", "bit.ly/abc", "wa.me/49170", "evil.com:8080", "evil.com."),
    *("evil(dot)com", "evil [dot] com", "evil dot com", "evil punkt de", "evil . com", "evil. com"),
    *(
        "evil．com",
        "evil。com",
        "evil｡com",
        "evil․com",
        "ｅｖｉｌ．ｃｏｍ",
        "ｈｔｔｐ：／／ｅｖｉｌ",
        "𝐞𝐯𝐢𝐥.𝐜𝐨𝐦",
    ),
    *(
        "xn--e1afmkfd.xn--p1ai",
        "пример.рф",
        "пример.com",
        "看evil.com谢谢",
        "💩.la",
        "evil.comпривет",
    ),
    *(
        "192.168.1.1",
        "1.2.3.4/x",
        "(evil.com)",
        '"evil.com"',
        "x,evil.com",
        "x|evil.com",
        ".evil.com",
    ),
    *(
        "jenny@evil.com",
        "jenny (at) evil",
        "user:pass@evil.com",
        "mailto:jenny",
        "javascript:alert",
    ),
    *("tel:+49170", "whatsapp:x", "tg://resolve?domain=x", "@evil", "＠evil", "﹫evil", "hi@evil"),
    *("@evil.com/x", "@a@b.com", "evil.com’s", "foo.com-bar", "*evil.com*"),
]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_or_mention_is_found_and_can_be_removed(link: str) -> None:
    text = f"Jenny ❤️ {link} Rosen"

    assert find_links(link)
    assert find_links(text)
    plain = remove_links(text)
    assert not find_links(plain)
    assert plain.startswith("Jenny ❤️")
    assert plain.endswith("Rosen")


@pytest.mark.parametrize(
    "text",
    [
        *("Jenny Rosen", "J. R. R. Tolkien", "Dr.Smith", "St.John", "A.J.", "O'Neil", "No.5", "M."),
        *("Müller & Co. KG", "Acme Inc.", "v1.2", "1.2.3", "3.50", "10.30 Uhr", "12.11.2026"),
        *("e.g. this", "z.B. das", "49.00 EUR", "1.234,56 €", "#1001", "12:30", "a/b", "and/or"),
        *("Hello: world", "nice :/", ":-) ;)", "5 @ 3 EUR", "@", "wait... what", "...com", "(yes)"),
        *("jenny.rosen", "some.handle", "polka dot dress", "2026-11-29T10:00:00Z", "cs_test_a1"),
    ],
)
def test_ordinary_text_is_neither(text: str) -> None:
    assert find_links(text) == []
    assert remove_links(f" {text}\n") == text


def test_a_link_is_found_where_it_is() -> None:
    text = "É @anna.studio, see (https://x.example/a?b=c)."

    mention, link = find_links(text)

    assert text[slice(*mention.core)] == "@anna.studio"
    assert (mention.is_mention, mention.target) == (True, "@anna.studio")
    assert text[slice(*link.core)] == "https://x.example"
    assert (link.is_mention, link.target) == (False, "https://x.example/a?b=c")


@pytest.mark.parametrize(
    "piece",
    ["a.", "1.", ". ", "@", "x@", "@a.b", "a:/", "a://", "www.", "é.", "dot ", "[", "。", "( "],
)
def test_the_time_is_linear_in_the_text(piece: str) -> None:
    text = piece * (40_000 // len(piece))
    started = time.thread_time()

    find_links(text)
    remove_links(text)

    assert time.thread_time() - started < 1
