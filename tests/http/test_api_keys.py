"""API keys, and the Authorization header that carries one."""

from __future__ import annotations

import pytest

from service.http.api_keys import ApiKeys

KEYS = ApiKeys({"first": "the-first-key-of-these", "other": "the-other-key-of-these"})


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {} "])
def test_a_header_names_the_owner_of_its_key(header: str) -> None:
    assert KEYS.verify_header(header.format("the-first-key-of-these")) == "first"
    assert KEYS.verify_header(header.format("the-other-key-of-these")) == "other"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "{}",
        "Basic {}",
        "Bearer {}x",
        "Bearer:{}",
        "Bearer first",
        "\udc80",
    ],
)
def test_any_other_header_names_nobody(header: str) -> None:
    assert KEYS.verify_header(header.format("the-first-key-of-these")) is None
