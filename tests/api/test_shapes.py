"""What all responses share: error bodies, the documentation, health."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from tests.support.encryption import SECRET_KEY
from tests.support.web import API_KEY, WebHarness, connect, run_web
from tests.support.webhook_signatures import SECRETS

PATHS = {
    "/webhooks/{source}": {"post"},
    "/jobs": {"get", "post"},
    "/jobs/{job_id}": {"get"},
    "/jobs/{job_id}/timeline": {"get"},
    "/jobs/{job_id}/result": {"get"},
    "/jobs/{job_id}/live": {"get"},
    "/live": {"get"},
    "/jobs/{job_id}/cancel": {"post"},
    "/jobs/{job_id}/retry": {"post"},
    "/accounts": {"get"},
    "/accounts/{name}": {"get"},
    "/accounts/{name}/pause": {"post"},
    "/accounts/{name}/resume": {"post"},
    "/events": {"get"},
    "/events/{event_id}": {"get"},
    "/events/{event_id}/replay": {"post"},
    "/deliveries": {"get"},
    "/deliveries/{delivery_id}": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
}


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/jobs/", "/JOBS", "/jobs/x/y", "/%00", "/favicon.ico"]
)
def test_an_unknown_path_gets_an_error_body(web: WebHarness, path: str) -> None:
    response = web.api.get(path)
    assert response.status_code == 404
    assert set(response.json()["error"]) == {"code", "message"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/jobs", {"GET", "POST"}),
        ("PUT", "/jobs/x", {"GET"}),
        ("GET", "/jobs/x/cancel", {"POST"}),
        ("GET", "/accounts/shop/pause", {"POST"}),
        ("POST", "/healthz", {"GET"}),
        ("POST", "/suppressions/some.handle", {"GET", "PUT", "DELETE"}),
        ("BREW", "/jobs", {"GET", "POST"}),
    ],
)
def test_a_wrong_method_gets_an_error_body(
    web: WebHarness, method: str, path: str, allowed: set[str]
) -> None:
    response = web.api.request(method, path)
    if method == "BREW":
        assert response.status_code == 400  # the parser knows no such method
        return
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


def test_the_documentation_names_every_path(web: WebHarness) -> None:
    document = web.http.get("/openapi.json").json()
    described = {path: set(methods) for path, methods in document["paths"].items()}
    assert {path: described.get(path) for path in PATHS} == PATHS


def test_the_documentation_describes_errors_as_they_are(web: WebHarness) -> None:
    text = web.http.get("/openapi.json").text
    assert "HTTPValidationError" not in text
    document = json.loads(text)
    own = [
        response
        for path in document["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
        if status >= "400" and "$ref" not in response
    ]
    described = [
        response["content"]["application/json"]["schema"]
        for response in [*own, *document["components"]["responses"].values()]
    ]
    assert all(schema == {"$ref": "#/components/schemas/ErrorBody"} for schema in described)
    assert described


def test_the_documentation_is_a_page_without_secrets(web: WebHarness) -> None:
    page = web.http.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    whole = page.text + web.http.get("/openapi.json").text
    assert not [secret for secret in (API_KEY, SECRET_KEY, *SECRETS.values()) if secret in whole]


def test_readiness_needs_redis_and_health_does_not(tmp_path: Path) -> None:
    nowhere = "redis://127.0.0.1:1/0"
    with (
        run_web(nowhere, tmp_path) as port,
        redis.Redis.from_url(nowhere) as store,
        connect(port, store) as web,
    ):
        assert web.http.get("/healthz").json()["status"] == "ok"
        assert web.http.get("/readyz").status_code == 503
        assert web.http.get("/docs").status_code == 200


def test_readiness_with_redis(web: WebHarness) -> None:
    assert (web.http.get("/readyz").status_code, web.contents()) == (200, {})


def test_responses_do_not_name_the_server(web: WebHarness) -> None:
    assert "Server" not in web.http.get("/healthz").headers


@pytest.mark.parametrize("path", ["/jobs", "/events", "/webhooks/stripe", "/nope"])
def test_a_websocket_on_another_path_is_rejected(web: WebHarness, path: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    response = web.api.get(path, headers=upgrade)
    assert 400 <= response.status_code < 500 or response.status_code == 200


def test_an_unexpected_exception_is_a_500_and_logged_once(
    capfd: pytest.CaptureFixture[str],
    store_url: str,
    tmp_path: Path,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a bug
    async def broken(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("the cause")

    monkeypatch.setattr("service.jobs.job_finder.JobFinder.page", broken)
    with run_web(store_url, tmp_path) as port, connect(port, store) as web, capture_logs() as logs:
        # When
        response = web.api.get("/jobs")
        again = web.api.get("/healthz")

    # Then
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "cause" not in response.text
    assert again.status_code == 200
    assert [entry["event"] for entry in logs].count("unexpected error") == 1
    assert "Exception in ASGI application" not in "".join(capfd.readouterr())
