"""PUT /accounts/{name}/session."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from deploy.local.wait import until
from service.accounts.session_store import StoredSession
from service.http.body_limit import MAX_API_BODY
from tests.support.encryption import SECRET_KEY
from tests.support.session_store import open_session_store
from tests.support.sessions import CANARY, document, leaks, of_device, of_user
from tests.support.web import API_KEY, WebHarness

#: Its username is not from a variable.
PATH = "/accounts/reader/session"


def put(web: WebHarness, settings: object, query: str = "") -> httpx.Response:
    return web.api.put(PATH + query, json=settings)


def stored(store_url: str, account: str = "reader") -> StoredSession | None:
    async def load() -> StoredSession | None:
        async with open_session_store(store_url, SECRET_KEY) as (vault, _):
            return await vault.load(account, account)

    return asyncio.run(load())


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


def test_a_session_is_stored_encrypted_and_not_echoed(web: WebHarness, store_url: str) -> None:
    answer = put(web, document())
    assert (answer.status_code, answer.json()) == (
        200,
        {"account": "reader", "version": 1, "device_reset": False, "logged_in": True},
    )
    session = stored(store_url)
    assert session is not None
    assert session.settings["cookies"] == document()["cookies"]
    assert "tls_verify" not in session.settings
    assert CANARY.encode() not in b"".join(filter(None, web.contents().values()))


def test_another_device_is_rejected_without_reset_device(web: WebHarness) -> None:
    put(web, document())
    before = web.contents()
    response = put(web, of_device("new"))
    assert response.status_code == 409
    assert error(response)["code"] == "device_changed"
    assert error(response)["traits"] == ["uuids.phone_id"]
    assert "uuids.phone_id" in error(response)["message"]
    assert "reset_device=true" in error(response)["message"]
    assert put(web, of_device("new"), "?reset_device=false").status_code == 409
    assert web.contents() == before
    taken = put(web, of_device("new"), "?reset_device=true")
    assert (taken.json()["version"], taken.json()["device_reset"]) == (2, True)


def test_another_users_session_is_rejected(web: WebHarness) -> None:
    put(web, document())
    response = put(web, of_user("77"))
    assert (response.status_code, error(response)["code"]) == (409, "user_changed")
    assert "reset_device=true" in error(response)["message"]


def test_an_unreadable_session_is_replaced_only_with_reset_device(
    web: WebHarness, store_url: str
) -> None:
    async def save() -> None:
        async with open_session_store(store_url) as (vault, _):
            await vault.save("reader", "reader", document(), version=0)

    asyncio.run(save())
    response = put(web, document())
    assert (response.status_code, error(response)["code"]) == (409, "session_unreadable")
    assert put(web, document(), "?reset_device=true").json()["device_reset"] is True


def held_up(web: WebHarness) -> int:
    return sum("b" in client["flags"] for client in web.store.client_list())


def test_of_two_concurrent_imports_one_is_a_conflict(web: WebHarness) -> None:
    put(web, document())
    until(lambda: held_up(web) == 0)
    with ThreadPoolExecutor(2) as pool:
        # When two requests have read the same version and are about to save
        web.store.client_pause(10_000, all=False)
        try:
            both = [pool.submit(put, web, document(mid=f"m-{n}")) for n in range(2)]
            until(lambda: held_up(web) == 2)
        finally:
            web.store.client_unpause()
        responses = [each.result() for each in both]

    # Then
    assert sorted(answer.status_code for answer in responses) == [200, 409]
    (conflict,) = (error(answer) for answer in responses if answer.status_code == 409)
    assert conflict["code"] == "conflict"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"uuids": [CANARY]}, "uuids"),
        ({"uuids": {"phone_id": CANARY}}, "uuids.uuid"),
        ({"device_settings": {}}, "device_settings"),
        ({"cookies": {CANARY: 7}}, "cookies"),
        ({"authorization_data": None, "cookies": None}, "authorization_data"),
        ({"username": CANARY}, "username"),
        ({"more": [[[[[[[[[[[[[[[[[[[[CANARY]]]]]]]]]]]]]]]]]]]]}, "body"),
    ],
)
def test_an_invalid_field_is_named(web: WebHarness, changes: dict[str, Any], field: str) -> None:
    response = put(web, document(**changes))
    assert (response.status_code, error(response)["code"]) == (422, "invalid_request")
    (problem,) = error(response)["fields"]
    assert problem["field"] == field
    assert error(response)["message"] == f"{field}: {problem['message']}"
    assert CANARY not in response.text
    assert web.contents() == {}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 422),
        (b"null", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'"c4n4ry"', "application/json", 422),
        (b'{"c4n4ry": NaN}', "application/json", 422),
        (b'{"c4n4ry"', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (json.dumps(document()).encode(), "text/plain", 422),
        (b"x" * (MAX_API_BODY + 1), "application/json", 413),
    ],
)
def test_a_body_that_is_not_settings_is_rejected(
    web: WebHarness, body: bytes, kind: str, status: int
) -> None:
    response = web.api.put(PATH, content=body, headers={"Content-Type": kind})
    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert CANARY not in response.text
    assert ("Content-Type" in response.text) == (kind == "text/plain")
    assert web.contents() == {}


def test_an_invalid_query_parameter_is_rejected(web: WebHarness) -> None:
    response = put(web, document(), "?reset_device=perhaps")
    assert response.status_code == 422
    assert error(response)["fields"][0]["field"] == "reset_device"
    assert web.contents() == {}


def test_an_unknown_account_is_not_found(web: WebHarness) -> None:
    answer = web.api.put("/accounts/nobody/session", json=document())
    assert (answer.status_code, error(answer)["code"]) == (404, "unknown_account")


@pytest.mark.parametrize("key", [None, "Bearer wrong", f"Basic {API_KEY}"])
def test_an_import_requires_a_key(web: WebHarness, key: str | None) -> None:
    headers = {"Authorization": key} if key else {}
    assert web.http.put(PATH, json=document(), headers=headers).status_code == 401
    assert web.contents() == {}


def test_a_missing_username_variable_is_named(
    web: WebHarness, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/accounts/shop/session"
    monkeypatch.delenv("INSTAGRAM_USERNAME", raising=False)
    response = web.api.put(path, json=document())
    assert (response.status_code, error(response)["code"]) == (503, "username_not_set")
    assert "INSTAGRAM_USERNAME" in error(response)["message"]
    assert web.contents() == {}
    monkeypatch.setenv("INSTAGRAM_USERNAME", "shop")
    assert web.api.put(path, json=document()).status_code == 200
    assert stored(store_url, "shop") is not None


def test_nothing_of_a_session_is_in_a_response_or_a_log(
    web: WebHarness, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [
        put(web, document()).text,
        put(web, of_device("new")).text,
        put(web, of_user("77")).text,
        put(web, document(uuids=CANARY)).text,
        put(web, document(cookies={CANARY: {}})).text,
        put(web, of_device("new"), "?reset_device=true").text,
        web.api.get("/accounts").text,
        web.api.get("/accounts/reader").text,
        caplog.text,
        *capfd.readouterr(),
    ]
    assert leaks(*said) == []


def test_the_documentation_describes_the_body_as_an_object(web: WebHarness) -> None:
    paths = web.http.get("/openapi.json").json()["paths"]
    body = paths["/accounts/{name}/session"]["put"]["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"]["type"] == "object"
