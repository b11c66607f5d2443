"""Lookup settings: the freshness of answers, and the accounts that make lookups."""

from __future__ import annotations

import pytest

from service.config.config import Config, ConfigError, parse_config
from tests.support.config_file import to_toml


def configured(**roles: str) -> Config:
    accounts = {
        name: {"username": name, "password": "x", "role": role} for name, role in roles.items()
    }
    return parse_config(to_toml({"accounts": accounts}))


@pytest.mark.parametrize(
    ("roles", "readers"),
    [
        ({}, ()),
        ({"a": "write"}, ()),
        ({"a": "write", "b": "both", "c": "both"}, ("b", "c")),
        ({"a": "both", "b": "read", "c": "write", "d": "read"}, ("b", "d")),
    ],
)
def test_read_accounts_are_preferred_for_lookups(
    roles: dict[str, str], readers: tuple[str, ...]
) -> None:
    assert configured(**roles).lookup_accounts() == readers


def test_the_freshness_of_answers_is_configurable() -> None:
    settings = parse_config("").lookups
    assert (settings.user_seconds, settings.post_seconds) == (300, 60)
    settings = parse_config("[lookups]\nuser_seconds = 900\n").lookups
    assert (settings.user_seconds, settings.post_seconds) == (900, 60)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("user_seconds = 0", "lookups.user_seconds"),
        ("post_seconds = 86401", "lookups.post_seconds"),
        ('post_seconds = "60"', "lookups.post_seconds"),
        ("user_second = 60", "lookups.user_second"),
    ],
)
def test_an_invalid_time_is_rejected_by_its_key(line: str, key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(f"[lookups]\n{line}\n")
    [problem] = raised.value.problems
    assert (problem.line, problem.key) == (2, key)
