"""What heliograph.toml says of look-ups: how fresh answers are, and who looks."""

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
def test_those_look_that_only_read_and_else_those_for_both(
    roles: dict[str, str], readers: tuple[str, ...]
) -> None:
    assert configured(**roles).lookup_accounts() == readers


def test_answers_are_fresh_for_minutes_unless_the_file_says_otherwise() -> None:
    terms = parse_config("").lookups
    assert (terms.user_seconds, terms.post_seconds) == (300, 60)
    terms = parse_config("[lookups]\nuser_seconds = 900\n").lookups
    assert (terms.user_seconds, terms.post_seconds) == (900, 60)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("user_seconds = 0", "lookups.user_seconds"),
        ("post_seconds = 86401", "lookups.post_seconds"),
        ('post_seconds = "60"', "lookups.post_seconds"),
        ("user_second = 60", "lookups.user_second"),
    ],
)
def test_a_time_that_cannot_be_is_refused_by_its_key(line: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(f"[lookups]\n{line}\n")
    [problem] = refused.value.problems
    assert (problem.line, problem.key) == (2, key)
