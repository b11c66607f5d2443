"""Lookup targets in their normal form."""

from __future__ import annotations

import pytest

from service.instagram.ids import InvalidIdentifier
from service.lookups.targets import LookupTarget, post_target, user_target


@pytest.mark.parametrize(
    ("given", "name", "recipient"),
    [
        ("some.handle", "some.handle", "some.handle"),
        (" @Some.Handle ", "some.handle", "some.handle"),
        ("https://www.instagram.com/Some.Handle/?igsh=x", "some.handle", "some.handle"),
        ("314159", "314159", "@314159"),
        ("@314159", "314159", "@314159"),
        ("https://instagram.com/314159", "314159", "@314159"),
        ("\uff13\uff11\uff14", "314", "@314"),
    ],
)
def test_a_profile_has_one_name(given: str, name: str, recipient: str) -> None:
    target = user_target(given)
    assert (target, target.recipient) == (LookupTarget("user", name), recipient)
    assert str(target) == f"user:{name}"


@pytest.mark.parametrize("given", ["", "pk:314159", "a..b", "none", "me@example.com", "a:b"])
def test_an_invalid_username_is_rejected(given: str) -> None:
    with pytest.raises(InvalidIdentifier):
        user_target(given)


@pytest.mark.parametrize(
    "given",
    [
        "DNZCmWE8gAB",
        "DNZCmWE8gABkey-of-a-private-post",
        "3700000000000000001",
        "3700000000000000001_314",
        "https://www.instagram.com/tv/DNZCmWE8gAB/?x=1",
    ],
)
def test_a_post_has_one_id(given: str) -> None:
    assert post_target(given) == LookupTarget("post", "3700000000000000001")


@pytest.mark.parametrize("given", ["", "abc", "0123", "https://instagram.com/some.handle"])
def test_an_invalid_post_is_rejected(given: str) -> None:
    with pytest.raises(InvalidIdentifier):
        post_target(given)
