"""API keys, and the Authorization header that carries one."""

from __future__ import annotations

import pytest

from service.credentials.api_keys import ApiKey
from service.http.api_keys import ApiKeys

FIRST = ApiKey("first", "the-first-key-of-these")
OTHER = ApiKey("other", "the-other-key-of-these")
KEYS = ApiKeys((FIRST, OTHER))


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {} "])
def test_a_header_names_the_owner_of_its_key(header: str) -> None:
    assert KEYS.verify_header(header.format("the-first-key-of-these")) is FIRST
    assert KEYS.verify_header(header.format("the-other-key-of-these")) is OTHER


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
