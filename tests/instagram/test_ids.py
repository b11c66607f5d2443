"""Normalising what customers type and paste to a recipient or post."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.instagram.ids import (
    InvalidIdentifier,
    media_pk,
    normalise_post,
    normalise_recipient,
    recipient_pk,
    recipient_username,
)

#: As an East Asian keyboard types ASCII.
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@pytest.mark.parametrize(
    "raw",
    [
        "some.handle",
        "@Some.Handle",
        "  @some.handle \n",
        "@ some.handle",
        "some.handle/",
        "\u200b@some\u200d.handle\ufeff",
        "\u00a0some.handle\u3000",
        "\u202asome.handle\u202c",
        "some.handle".translate(FULL_WIDTH),
        "@some.handle".translate(FULL_WIDTH),
        "\ufe6bsome.handle",
        "https://www.instagram.com/Some.Handle/?hl=en",
        "HTTPS://Instagram.com/some.handle#about",
        "http://m.instagram.com/some.handle",
        "//instagram.com/some.handle",
        "instagram.com/some.handle",
        "www.instagram.com/some.handle?igsh=abc",
        "https://www.instagram.com/@some.handle",
        "https://www.instagram.com/%40some.handle",
        "https://www.instagram.com/_u/some.handle",
        "https://www.instagram.com/some.handle/tagged/",
        "https://www.instagram.com/some.handle/reels/",
    ],
)
def test_every_form_of_a_username_is_the_same_username(raw: str) -> None:
    assert normalise_recipient(raw) == "some.handle"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("314159", "314159"),
        (" 314159 ", "314159"),
        ("@314159", "@314159"),
        ("https://www.instagram.com/314159/", "@314159"),
        ("314159".translate(FULL_WIDTH), "314159"),
    ],
)
def test_only_a_bare_number_is_a_user_id(raw: str, expected: str) -> None:
    assert normalise_recipient(raw) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" \u200b ", "empty"),
        ("@", "not an Instagram username"),
        (".some", "not an Instagram username"),
        ("so..me", "not an Instagram username"),
        ("a" * 31, "not an Instagram username"),
        ("Jenny Rosen", "not an Instagram username"),
        ("jenny-rosen", "not an Instagram username"),
        ("j\u0435nny", "not an Instagram username"),  # a Cyrillic letter
        ("\u00b2", "not an Instagram username"),
        ("@@some", "not an Instagram username"),
        ("some/handle", "not an Instagram username"),
        ("jenny@example.com", "e-mail"),
        ("123456789012345678901", "not a user id"),
        ("0123", "not a user id"),
        ("None", "placeholder"),
        ("@null", "placeholder"),
        ("instagram.com", "without a username"),
        ("@instagram.com", "placeholder"),
        ("https://www.instagram.com/", "without a username"),
        ("https://www.instagram.com/p/CxyZ_-1/", "to a post or page"),
        ("https://www.instagram.com/some.handle/p/CxyZ_-1/", "to a post or page"),
        ("https://www.instagram.com/explore/", "to a post or page"),
        ("https://www.instagram.com/stories/highlights/1/", "to a post or page"),
        ("https://www.instagram.com/direct/t/1/", "to a post or page"),
        ("https://www.instagram.com/some.handle/saved/all/", "below a profile"),
        ("https://evil-instagram.com/some.handle", "instagram.com"),
        ("https://instagram.com.evil.example/some.handle", "instagram.com"),
        ("https://instagram.com@evil.example/some.handle", "instagram.com"),
        ("https://user@instagram.com/some.handle", "instagram.com"),
        ("https://instagram.com:8443/some.handle", "instagram.com"),
        ("https://[::1/some.handle", "not a valid link"),
        ("javascript://instagram.com/some.handle", "not an Instagram username"),
        ("x" * 3000, "longer than 2000 characters"),
    ],
)
def test_an_ambiguous_or_invalid_recipient_is_rejected(raw: str, reason: str) -> None:
    with pytest.raises(InvalidIdentifier, match=reason):
        normalise_recipient(raw)


@pytest.mark.parametrize("raw", ["jenny@secret.example", "Jenny Secret", "https://secret.example/"])
def test_an_error_does_not_repeat_the_input(raw: str) -> None:
    with pytest.raises(InvalidIdentifier) as error:
        normalise_recipient(raw)

    assert "secret" not in str(error.value).lower()


@pytest.mark.parametrize(
    "raw",
    [
        "CxyZ_-1",
        " CxyZ_-1 ",
        "https://www.instagram.com/p/CxyZ_-1/",
        "https://www.instagram.com/p/CxyZ_-1/?igsh=abc&img_index=2",
        "https://www.instagram.com/reel/CxyZ_-1",
        "instagram.com/reels/CxyZ_-1",
        "https://m.instagram.com/tv/CxyZ_-1/",
        "https://www.instagram.com/some.handle/p/CxyZ_-1/",
        "https://www.instagram.com/some.handle/reel/CxyZ_-1/",
    ],
)
def test_every_form_of_a_post_is_its_shortcode(raw: str) -> None:
    assert normalise_post(raw) == "CxyZ_-1"


@pytest.mark.parametrize("raw", ["2278584739065882267", "2278584739065882267_314159", "12345"])
def test_digits_are_a_media_id(raw: str) -> None:
    assert normalise_post(raw) == raw


def test_a_linked_shortcode_of_digits_is_decoded_because_digits_are_a_media_id() -> None:
    # The expected pk is aiograpi's InstagramIdCodec.decode("12345678901").
    assert normalise_post("https://www.instagram.com/p/12345678901/") == "62093348658291662133"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "abc",
        "x" * 65,
        "Cxy Z",
        "0123",
        "1" * 26,
        "1_0",
        "https://www.instagram.com/some.handle/",
        "https://www.instagram.com/p/",
        "https://www.instagram.com/p/CxyZ_-1/comments/",
        "https://www.instagram.com/stories/p/CxyZ_-1/",
        "https://www.instagram.com/share/p/CxyZ_-1/",
        "https://www.instagram.com/share/CxyZ_-1/",
        "https://evil-instagram.com/p/CxyZ_-1/",
        "https://instagram.com:443/p/CxyZ_-1/",
    ],
)
def test_an_invalid_post_is_rejected(raw: str) -> None:
    with pytest.raises(InvalidIdentifier):
        normalise_post(raw)


_TYPED = st.text(alphabet=string.ascii_letters + string.digits + "._-@/ \u200b\uff20", max_size=40)
_LINKS = st.builds(
    "https://www.instagram.com/{}".format,
    st.text(alphabet=string.ascii_letters + string.digits + "._-/@?", max_size=40)
    | st.from_regex(r"(p|reel|tv)/[0-9]{5,64}/", fullmatch=True),
)


@given(_TYPED | _LINKS | st.text(max_size=40))
def test_normalisation_is_idempotent(raw: str) -> None:
    for normalise in (normalise_recipient, normalise_post):
        try:
            normal = normalise(raw)
        except InvalidIdentifier:
            continue
        assert normalise(normal) == normal


def test_a_user_id_can_be_marked_as_such() -> None:
    assert normalise_recipient("pk:314159") == "314159"
    assert normalise_recipient(" PK: 314159", bare_numbers=False) == "314159"


@pytest.mark.parametrize("raw", ["pk:", "pk:some.handle", "pk:-1", "pk:0123"])
def test_an_invalid_user_id_is_rejected(raw: str) -> None:
    with pytest.raises(InvalidIdentifier, match="must be followed by digits"):
        normalise_recipient(raw)


def test_a_customers_number_is_not_taken_for_a_user_id() -> None:
    with pytest.raises(InvalidIdentifier, match="phone number"):
        normalise_recipient("612345678", bare_numbers=False)
    assert normalise_recipient("@612345678", bare_numbers=False) == "@612345678"


@pytest.mark.parametrize(
    ("post", "pk"),
    [
        ("123", "123"),
        ("123_456", "123"),
        ("B1LbfVPlwIA", "2110901750722920960"),
        ("B-fKL9qpeab", "2278584739065882267"),
        ("CCQQsCXjOaBfS3I2PpqsNkxElV9DXj61vzo5xs0", "2346448800803776129"),
    ],
)
def test_a_posts_pk_needs_no_call(post: str, pk: str) -> None:
    assert media_pk(post) == pk


@pytest.mark.parametrize("post", ["", "a b", "http://x/", "12é34", "\uff11\uff12\uff13", "1_2_3 "])
def test_an_invalid_post_has_no_pk(post: str) -> None:
    with pytest.raises(InvalidIdentifier):
        media_pk(post)


def test_a_recipient_is_a_pk_or_a_username() -> None:
    assert recipient_pk("314159") == "314159"
    assert recipient_pk("@314159") is None
    assert recipient_pk("\uff13\uff11") is None
    assert recipient_username("@314159") == "314159"
    assert recipient_username("Some.Handle") == "some.handle"


@pytest.mark.parametrize("to", ["", "@", "two words", "a/b", "../x", "x" * 31])
def test_an_invalid_recipient_has_no_username(to: str) -> None:
    with pytest.raises(InvalidIdentifier):
        recipient_username(to)
