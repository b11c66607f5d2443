"""API_KEYS: what each entry says, and what is refused before it can be misread."""

from __future__ import annotations

import pytest

from service.config.bound_keys import bound_key_problems
from service.config.config import parse_config
from service.credentials.api_keys import ApiKey, parse_api_keys

KEY = "9c1f4be27da05836"
OTHER = "e60a5b9d83c7f124"
CONFIG = """
[accounts.shop]
username = "shop"
password = "a"

[accounts."club.eu"]
username = "club"
password = "b"
"""


def only(text: str) -> ApiKey:
    (key,) = parse_api_keys(text)
    return key


def problem_of(text: str) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_api_keys(text)
    assert KEY not in str(refused.value)
    assert KEY not in repr(refused.value.__context__)
    return str(refused.value)


@pytest.mark.parametrize(
    ("entry", "name", "secret"),
    [
        (f"ops:{KEY}", "ops", KEY),
        (KEY, "default", KEY),
        (f" ops : {KEY} ", "ops", KEY),
        (f"ops:{KEY}:2", "ops", f"{KEY}:2"),
        (f"ops:{KEY}:{OTHER}", "ops", f"{KEY}:{OTHER}"),
        (f"ops:a:b:{KEY}", "ops", f"a:b:{KEY}"),
        (f"ops:{KEY}@7", "ops", f"{KEY}@7"),
        (f"ops:{KEY}+read", "ops", f"{KEY}+read"),
    ],
)
def test_a_key_without_scopes_may_do_everything(entry: str, name: str, secret: str) -> None:
    key = only(entry)
    assert (key.name, key.secret, key.accounts) == (name, secret, None)
    assert all(key.may(scope) for scope in ("read", "jobs", "accounts", "admin"))


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        ("read", {"read"}),
        ("jobs", {"jobs", "read"}),
        ("accounts", {"accounts", "read"}),
        ("jobs+accounts", {"jobs", "accounts", "read"}),
        (" jobs + read ", {"jobs", "read"}),
        ("admin", {"read", "jobs", "accounts", "admin"}),
    ],
)
def test_a_scope_allows_what_it_includes(scopes: str, may: set[str]) -> None:
    key = only(f"ops:{KEY}:{scopes}")
    assert (key.secret, set(key.scopes)) == (KEY, may)


def test_a_key_with_colons_has_its_scopes_behind_the_last() -> None:
    key = only(f"ops:{KEY}:2:read")
    assert (key.secret, set(key.scopes)) == (f"{KEY}:2", {"read"})


@pytest.mark.parametrize(
    "last",
    [
        *(
            "raed",
            "Read",
            "READ",
            "reads",
            "readonly",
            "read-only",
            "job",
            "j0bs",
            "acounts",
            "admn",
        ),
        *("read+job", "read+", "+read", "read++jobs", "read|jobs", "read/jobs", "read.jobs", "all"),
        *("", "write", "none", "*", "read jobs", "read2", "@shop", "raed@shop", "scope=read"),
    ],
)
def test_a_mistyped_scope_never_becomes_a_part_of_the_key(last: str) -> None:
    assert problem_of(f"ops:{KEY}:{last}")


def test_a_mistyped_scope_is_named_by_its_entry_with_the_nearest_one() -> None:
    assert problem_of(f"crm:{OTHER},ops:{KEY}:raed").startswith(
        "gives the key 'ops' a scope that does not exist: did you mean `read`?"
    )
    assert "`accounts` and `admin`" in problem_of(f"ops:{KEY}:everything")


def test_a_key_is_bound_to_accounts_behind_its_scopes() -> None:
    key = only(f"ops:{KEY}:read+jobs@shop+club.eu")
    assert set(key.scopes) == {"read", "jobs"}
    assert key.accounts == frozenset({"shop", "club.eu"})
    assert [key.sees(account) for account in ("shop", "club.eu", "other", "*")] == [
        *(True, True, False, False)
    ]


@pytest.mark.parametrize("accounts", ["", "+", "shop+", "sh op", "shop@club", "shop/club"])
def test_what_is_no_name_of_an_account_binds_nothing(accounts: str) -> None:
    assert problem_of(f"ops:{KEY}:read@{accounts}").startswith("binds the key 'ops' to something")


def test_what_is_about_everybody_is_bound_to_no_account() -> None:
    assert "`admin`" in problem_of(f"ops:{KEY}:admin@shop")


def test_a_name_may_have_two_keys_of_the_same_rights_while_one_replaces_the_other() -> None:
    assert [key.secret for key in parse_api_keys(f"ops:{KEY}:read,ops:{OTHER}:read")] == [
        KEY,
        OTHER,
    ]
    assert "names 'ops' twice" in problem_of(f"ops:{KEY}:read,ops:{OTHER}")
    assert "names 'ops' twice" in problem_of(f"ops:{KEY}:read@a,ops:{OTHER}:read@b")
    assert "same key twice" in problem_of(f"ops:{KEY}:read,crm:{KEY}:jobs")


def test_no_key_is_shown() -> None:
    assert KEY not in repr(only(f"ops:{KEY}:read@shop"))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (f"ops:{KEY}:read@shop+club.eu", None),
        (
            f"ops:{KEY}:read@shpo",
            "binds the key 'ops' to 'shpo', which is no account: did you mean",
        ),
        (f"ops:{KEY}@shop", "has '@shop' at the end of the key of 'ops': accounts follow scopes"),
    ],
)
def test_accounts_of_a_key_are_configured_ones(entry: str, problem: str | None) -> None:
    problems = list(bound_key_problems(parse_api_keys(entry), parse_config(CONFIG)))
    assert len(problems) == (0 if problem is None else 1)
    assert problem is None or problem in problems[0]
    assert KEY not in str(problems)
