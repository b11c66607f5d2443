"""Suppressions: recipients that must not be written to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import OTHER_KEY, WebHarness

LIST = "/suppressions"


def entry(web: WebHarness, path: str, **options: Any) -> dict[str, Any]:
    answer = web.api.put(f"{LIST}/{path}", **options)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("body", [b"", b"{}", b"null"])
def test_a_suppression_is_added_shown_and_removed(web: WebHarness, body: bytes) -> None:
    # When
    headers = {"Content-Type": "application/json"} if body else {}
    made = web.api.put(f"{LIST}/some.handle", content=body, headers=headers)

    # Then
    assert made.status_code == 201
    assert made.json() | {"since": "..."} == {
        "username": "some.handle",
        "account": None,
        "reason": None,
        "since": "...",
        "by": "first",
    }
    assert made.json()["since"].endswith("Z")
    assert web.api.get(f"{LIST}/some.handle").json() == made.json()

    # When removed
    gone = web.api.delete(f"{LIST}/some.handle")

    # Then
    assert (gone.status_code, gone.content) == (204, b"")
    assert web.contents().keys() == {b"hg:audit"}


def test_a_second_put_changes_the_reason_and_keeps_the_date(web: WebHarness) -> None:
    first = entry(web, "some.handle", json={"reason": "by phone"})
    other = {"Authorization": f"Bearer {OTHER_KEY}"}
    again = web.api.put(f"{LIST}/some.handle", json={"reason": "by mail"}, headers=other)
    assert again.status_code == 200
    assert again.json() == {**first, "reason": "by mail", "by": "other"}


@pytest.mark.parametrize(
    ("typed", "shown", "field"),
    [
        ("Some.Handle", "some.handle", "*:some.handle"),
        ("@some.handle", "some.handle", "*:some.handle"),
        ("%40SOME.handle", "some.handle", "*:some.handle"),
        ("pk:314159", "pk:314159", "*:pk:314159"),
        ("PK:314159", "pk:314159", "*:pk:314159"),
        ("@123", "@123", "*:123"),
    ],
)
def test_every_form_of_a_recipient_is_one_suppression(
    web: WebHarness, typed: str, shown: str, field: str
) -> None:
    assert entry(web, typed)["username"] == shown
    assert web.store.hkeys("hg:suppressed") == [field.encode()]
    assert web.api.get(f"{LIST}/{shown}").status_code == 200
    assert web.api.delete(f"{LIST}/{typed}").status_code == 204


@pytest.mark.parametrize(
    "typed",
    [
        "314159",
        "pk:",
        "pk:0",
        "pk:abc",
        "some..handle",
        "a b",
        "x" * 31,
        "a@b.example",
        "none",
        "%00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_ambiguous_recipient_is_rejected(web: WebHarness, method: str, typed: str) -> None:
    response = web.api.request(method, f"{LIST}/{typed}")
    assert response.status_code == 422
    assert [each["field"] for each in response.json()["error"]["fields"]] == ["username"]
    assert web.contents() == {}


def test_a_suppression_of_one_account_is_separate_from_the_global_one(web: WebHarness) -> None:
    params = {"account": "shop"}
    assert web.api.put(f"{LIST}/a", params=params).json()["account"] == "shop"
    assert web.api.get(f"{LIST}/a").status_code == 404
    assert entry(web, "a")["account"] is None
    assert web.api.get(f"{LIST}/a", params=params).json()["account"] == "shop"
    assert web.api.delete(f"{LIST}/a", params=params).status_code == 204
    assert web.api.get(f"{LIST}/a").status_code == 200


@pytest.mark.parametrize("account", ["nobody", "*", "", "SHOP", "shop:x", "shop\n"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_account_is_named(web: WebHarness, method: str, account: str) -> None:
    response = web.api.request(method, f"{LIST}/a", params={"account": account})
    assert response.status_code == 422
    assert [each["field"] for each in response.json()["error"]["fields"]] == ["account"]
    assert web.contents() == {}


def test_a_suppression_outlives_its_account(web: WebHarness) -> None:
    web.store.hset("hg:suppressed", "gone:a", '{"reason": null, "since": 1, "by": "first"}')
    web.store.zadd("hg:suppressions", {"gone:a": 0})
    params = {"account": "gone"}
    assert web.api.get(f"{LIST}/a", params=params).json()["account"] == "gone"
    assert web.api.delete(f"{LIST}/a", params=params).status_code == 204
    assert web.api.delete(f"{LIST}/a", params=params).status_code == 422


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_missing_suppression_is_not_found(web: WebHarness, method: str) -> None:
    answer = web.api.request(method, f"{LIST}/a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_suppressed")


@pytest.mark.parametrize(
    "body", [{"reason": "x" * 201}, {"reason": 7}, {"reason": None}, {"why": "x"}]
)
def test_an_invalid_reason_is_rejected(web: WebHarness, body: dict[str, Any]) -> None:
    response = web.api.put(f"{LIST}/a", json=body)
    assert response.status_code == 422
    assert [each["field"] for each in response.json()["error"]["fields"]] == list(body)
    assert web.contents() == {}


def test_suppressions_are_listed_page_by_page(web: WebHarness) -> None:
    made = [entry(web, name) for name in ("a", "b", "c", "pk:1", "@9")]
    made += [entry(web, "a", params={"account": "shop"})]
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 2}
    for _ in range(3):
        answer = web.api.get(LIST, params=params).json()
        found += answer["items"]
        params["cursor"] = answer["next"]
    assert params["cursor"] is None
    assert [(each["account"], each["username"]) for each in found] == [
        (None, "@9"),
        (None, "a"),
        (None, "b"),
        (None, "c"),
        (None, "pk:1"),
        ("shop", "a"),
    ]
    assert all(each in found for each in made)


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/a"), ("PUT", "/a")])
def test_suppressions_require_a_key(web: WebHarness, method: str, path: str) -> None:
    assert web.http.request(method, LIST + path).status_code == 401
    assert web.contents() == {}


def test_a_list_goes_on_behind_an_entry_whose_person_was_erased(web: WebHarness) -> None:
    for name in ("some.handle", "other.handle"):
        web.api.put(f"{LIST}/{name}").raise_for_status()
    web.api.delete("/people/some.handle").raise_for_status()
    first = web.api.get(LIST, params={"limit": 1}).json()
    second = web.api.get(LIST, params={"limit": 1, "cursor": first["next"]}).json()
    assert [each["username"] for each in (*first["items"], *second["items"])] == [
        *(None, "other.handle")
    ]
