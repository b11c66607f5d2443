"""What customers type into a field for their username."""

from __future__ import annotations

import pytest

from service.instagram.errors import InvalidIdentifier
from service.instagram.no_answers import fold
from service.instagram.typed_recipients import typed_recipient


@pytest.mark.parametrize(
    "raw",
    [
        "some.handle",
        "@Some.Handle",
        "@ some.handle",
        "@some.handle.",
        "some.handle,",
        "@some.handle!!",
        "some.handle :)",
        "“@some.handle”",
        "„some.handle“",
        "«some.handle»",
        '"some.handle"',
        "‘some.handle’",
        "`some.handle`",
        "*some.handle*",
        "(some.handle)",
        "[@some.handle]",
        "<some.handle>",
        "@some.handle 💕",
        "✨some.handle✨",
        "ig: some.handle",
        "IG some.handle",
        "IG - some.handle",
        "ig:@some.handle",
        "insta @some.handle",
        "Instagram: @some.handle",
        "Instagram handle: some.handle",
        "my instagram is @some.handle",
        "handle=some.handle",
        'Insta: "some.handle"',
        "@some.handle on Instagram",
        "some.handle (IG)",
        "/some.handle/",
        "＠ｓｏｍｅ．ｈａｎｄｌｅ",
        "@some。handle",
        "some\u200b.han\u00addle\u2069",
        "\x07some.handle\x00",
        "instagram.com/some.handle?igsh=MzRlODBiNWFlZA==",
        "https://www.instagram.com/some.handle/?utm_source=a&utm_medium=b",
        "IG: https://instagram.com/some.handle",
        "instagr.am/some.handle",
        "https://ig.me/m/some.handle",
        "ig.me/m/some.handle?ref=shop",
        "threads.net/@some.handle",
        "https://www.threads.com/@some.handle?x=1",
        "https://www.instagram.com/stories/some.handle/1234567890/",
        "https://instagram.com/_u/some.handle",
        "instagram://user?username=some.handle",
        "@some.handle / some.handle",
        "@some.handle https://instagram.com/some.handle",
    ],
)
def test_a_username_is_understood_whatever_is_around_it(raw: str) -> None:
    assert typed_recipient(raw, bare_numbers=False) == "some.handle"


NO_ANSWER = "an answer such as 'none'"
SEVERAL = "more than one account"
PHONE = "phone number"
WEB_ADDRESS = "web address"
EMAIL = "e-mail"
NO_USERNAME = "not an Instagram username"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        *((word, NO_ANSWER) for word in ("na", "NO", "none", "N/A", "n.a.", "nope", "null", "nil")),
        *((word, NO_ANSWER) for word in ("undefined", "[object Object]", "test", "asdf", "xxx")),
        *((word, NO_ANSWER) for word in ("-", "--", ".", "?", "x", "A", "?!", "🙂")),
        *(
            (word, NO_ANSWER)
            for word in ("instagram", "IG", "insta:", "ig: none", '"none"', "(no)")
        ),
        *((word, NO_ANSWER) for word in ("don't have", "don’t have one", "No insta, sorry")),
        *((word, NO_ANSWER) for word in ("keine", "Keins", "k.A.", "kein Instagram", "habe keins")),
        *((word, NO_ANSWER) for word in ("aucun", "je n'ai pas", "néant", "ninguno", "no tengo")),
        *((word, NO_ANSWER) for word in ("nenhum", "não", "nessuno", "geen", "n.v.t.", "brak")),
        *((word, NO_ANSWER) for word in ("ingen", "yok", "нет", "没有", "なし", "لا يوجد")),
        *(
            (word, PHONE)
            for word in ("612.345.678", "+49 170 1234567", "(0170) 12 34", "tel: 0170")
        ),
        *((word, PHONE) for word in ("612345678", "612345678.", "(612345678)", "ig: 612345678")),
        *((word, WEB_ADDRESS) for word in ("shop.com", "www.shop.fr", "my-shop.co.uk", "Shop.DE")),
        *((word, EMAIL) for word in ("a@b.c", "jenny@shop.com", "mailto:jenny@shop.com")),
        *((word, EMAIL) for word in ("name@gmail.com", "insta@shop.com", "ig: user@shop.de")),
        *((word, SEVERAL) for word in ("@jenny @anna", "jenny, anna", "jenny & anna", "@a/@b")),
        ("https://instagram.com/jenny https://instagram.com/anna", SEVERAL),
        *((word, NO_USERNAME) for word in ("Jenny Rosen", "insta anna", "jenny-rosen", "#jenny")),
        *(
            (word, NO_USERNAME)
            for word in ("tiktok: jenny", "@jenny (Jenny Rosen)", "some..handle")
        ),
        ("https://www.tiktok.com/@jenny", "not a link to instagram.com"),
        ("http://shop.com/jenny", "not a link to instagram.com"),
        ("threads.net/jenny", "to a post or page"),
        ("ig.me/jenny", "without a username"),
        *((f"instagram.com/{page}", "to a post or page") for page in ("p/Cxy_1", "reel/Cxy_1")),
        *(
            (f"instagram.com/{page}", "to a post or page")
            for page in ("explore/", "accounts/login")
        ),
        ("https://www.instagram.com/stories/highlights/17/", "to a post or page"),
        *((word, "names a page of Instagram") for word in ("explore", "@accounts", "reels")),
    ],
)
def test_what_is_no_username_is_refused_with_the_reason(raw: str, reason: str) -> None:
    with pytest.raises(InvalidIdentifier, match=reason):
        typed_recipient(raw, bare_numbers=False)


@pytest.mark.parametrize("name", ["na", "no", "test", "x", "instagram", "shop.com", "keine", "n.a"])
def test_an_at_sign_says_that_it_is_a_username(name: str) -> None:
    assert typed_recipient(f"@{name}", bare_numbers=False) == name
    assert typed_recipient(f"instagram.com/{name}", bare_numbers=False) == name


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "jo", "j_", "kai", "nora", "nono", "no.ne", "te.st", "_na_", "na_", "anna.studio"),
        *("let.it.be", "12_34", "1of1", "ig_store", "instagram.fan", "user.jenny", "noah", "xx_"),
    ],
)
def test_short_and_similar_usernames_are_usernames(name: str) -> None:
    assert typed_recipient(name, bare_numbers=False) == name


def test_the_file_adds_answers_of_its_own() -> None:
    more = frozenset(map(fold, ["Gast", "Laufkundschaft!"]))

    for typed in ("gast", "GAST.", "laufkundschaft"):
        assert typed_recipient(typed)
        with pytest.raises(InvalidIdentifier, match=NO_ANSWER):
            typed_recipient(typed, no_answers=more)
    assert typed_recipient("@gast", no_answers=more) == "gast"


def test_a_program_may_give_a_number_as_a_user_id() -> None:
    assert typed_recipient("1111") == "1111"
    assert typed_recipient("pk:7") == "7"


def test_a_refusal_takes_no_longer_for_a_long_text() -> None:
    for typed in ("ig: " * 490, "@a @b " * 330, "a." * 900, "(" * 2000, "+1 " * 600):
        with pytest.raises(InvalidIdentifier):
            typed_recipient(typed, bare_numbers=False)
