"""Authentication by API key."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from service.http.failed_authentication import MAX_FAILURES, WINDOW_SECONDS
from tests.support.event_streams import WebSocket, WebSocketRejected
from tests.support.web import API_KEY, OTHER_KEY, WebHarness, run_web

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


def basic(user: str, password: str) -> str:
    """An Authorization header of Basic authentication."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


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


def guess(web: WebHarness, address: str, key: str = "not-the-key") -> httpx.Response:
    """Send a key from an address behind a proxy on this machine."""
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": address}
    return web.http.get("/jobs", headers=headers)


def test_a_client_that_guesses_is_throttled_and_the_owner_behind_its_address_is_not(
    web: WebHarness,
) -> None:
    guesses = [guess(web, "203.0.113.9") for _ in range(MAX_FAILURES + 5)]
    assert all(map(is_unauthorized, guesses[:MAX_FAILURES]))
    for refused in guesses[MAX_FAILURES:]:
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
        assert 1 <= int(refused.headers["Retry-After"]) <= WINDOW_SECONDS
    assert guess(web, "203.0.113.9", API_KEY).status_code == 200
    assert is_unauthorized(guess(web, "203.0.113.10"))
    assert is_unauthorized(web.http.get("/jobs", headers={"X-Forwarded-For": "203.0.113.9"}))


def test_a_socket_and_another_path_count_the_same_guesses(web: WebHarness) -> None:
    for _ in range(MAX_FAILURES):
        guess(web, "2001:db8:77::1")
    wrong = {"Authorization": "Bearer not-the-key", "X-Forwarded-For": "2001:db8:77::2"}
    with pytest.raises(WebSocketRejected) as rejected:
        WebSocket(web.port, "/live", wrong)
    assert rejected.value.status == 429
    right = {**wrong, "Authorization": f"Bearer {API_KEY}"}
    with WebSocket(web.port, "/live", right) as opened:
        assert opened.take(1)[0].event == "ready"


METRICS_KEY = "5f0c9a7be1d24386a0c1"


@pytest.fixture(scope="module")
def metrics_port(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> Iterator[int]:
    """The port of a web process whose metrics require a key."""
    directory = tmp_path_factory.mktemp("metrics")
    with run_web(store_url, directory, METRICS_KEY=METRICS_KEY) as port:
        yield port


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        (f"Bearer {METRICS_KEY}", 200),
        (f"bearer {METRICS_KEY}", 200),
        (basic("prometheus", METRICS_KEY), 200),
        (basic("", METRICS_KEY), 200),
        (basic(METRICS_KEY, ""), 401),
        (basic("prometheus", f"{METRICS_KEY}x"), 401),
        ("Basic %%%", 401),
        ("Basic /w==", 401),
        (f"Bearer {API_KEY}", 401),
        (METRICS_KEY, 401),
    ],
)
def test_metrics_require_their_key_when_it_is_set(
    metrics_port: int, authorization: str, status: int
) -> None:
    response = httpx.get(
        f"http://127.0.0.1:{metrics_port}/metrics",
        headers={"Authorization": authorization} if authorization else {},
        trust_env=False,
    )
    assert response.status_code == status
    assert METRICS_KEY not in response.text
    assert ("heliograph_jobs" in response.text) is (status == 200)


def test_the_metrics_key_opens_nothing_else(metrics_port: int) -> None:
    url = f"http://127.0.0.1:{metrics_port}/jobs"
    headers = {"Authorization": f"Bearer {METRICS_KEY}"}
    assert is_unauthorized(httpx.get(url, headers=headers, trust_env=False))


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_health_and_documentation_require_no_key(web: WebHarness, path: str) -> None:
    assert web.http.get(path).status_code == 200
