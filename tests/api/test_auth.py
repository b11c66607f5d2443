"""Authentication by API key."""

from __future__ import annotations

import httpx
import pytest

from tests.support.web import API_KEY, OTHER_KEY, WebHarness

JOB = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
GUARDED = [
    *(("GET", path) for path in ("/jobs", "/events", "/deliveries", "/accounts", "/live")),
    *(("GET", path) for path in ("/jobs/x", "/events/x", "/deliveries/x", "/accounts/shop")),
    *(("GET", path) for path in ("/jobs/x/timeline", "/jobs/x/result", "/jobs/x/live")),
    *(("POST", path) for path in ("/jobs", "/jobs/x/cancel", "/jobs/x/retry", "/events/x/replay")),
    *(("POST", path) for path in ("/accounts/shop/pause", "/accounts/shop/resume")),
]
WRONG = {
    "nothing": {},
    "empty": {"Authorization": ""},
    "another scheme": {"Authorization": f"Basic {API_KEY}"},
    "no scheme": {"Authorization": API_KEY},
    "a prefix": {"Authorization": f"Bearer {API_KEY[:-1]}"},
    "longer": {"Authorization": f"Bearer {API_KEY}x"},
    "another case": {"Authorization": f"Bearer {API_KEY.upper()}"},
    "the name": {"Authorization": "Bearer first"},
    "name and key": {"Authorization": f"Bearer first:{API_KEY}"},
    "both keys": {"Authorization": f"Bearer {API_KEY},{OTHER_KEY}"},
    "huge": {"Authorization": f"Bearer {'x' * 20_000}"},
    "in the query's place": {"X-Api-Key": API_KEY},
}


def is_unauthorized(response: httpx.Response) -> bool:
    return (
        response.status_code == 401
        and response.headers["WWW-Authenticate"] == "Bearer"
        and response.json()["error"]["code"] == "unauthorized"
        and API_KEY not in response.text
    )


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_every_api_path_requires_a_key(web: WebHarness, method: str, path: str) -> None:
    assert is_unauthorized(web.http.request(method, path))


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_key_creates_nothing(web: WebHarness, headers: dict[str, str]) -> None:
    assert is_unauthorized(web.http.post("/jobs", json=JOB, headers=headers))
    assert is_unauthorized(web.http.post("/accounts/shop/pause", headers=headers))
    assert web.contents() == {}


def test_a_key_in_the_query_is_ignored(web: WebHarness) -> None:
    assert is_unauthorized(web.http.get("/jobs", params={"key": API_KEY, "token": API_KEY}))


def test_without_a_key_the_error_names_no_fields(web: WebHarness) -> None:
    response = web.http.post("/jobs", json={"kind": "x"})
    assert is_unauthorized(response)
    assert "fields" not in response.json()["error"]


@pytest.mark.parametrize(("name", "key"), [("first", API_KEY), ("other", OTHER_KEY)])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_each_key_identifies_its_caller(web: WebHarness, name: str, key: str, scheme: str) -> None:
    made = web.http.post("/jobs", json=JOB, headers={"Authorization": f"{scheme} {key}"})
    assert made.status_code == 202
    assert made.json()["source"]["api_key"] == name


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_health_and_documentation_require_no_key(web: WebHarness, path: str) -> None:
    assert web.http.get(path).status_code == 200
