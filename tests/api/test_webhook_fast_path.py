"""The fast path accepts what the route accepts, and responds like the other routes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from tests.support.web import WebHarness, connect, order, run_web
from tests.support.webhook_signatures import SECRETS, signed_headers

BODY = order("stripe")


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/webhooks/stripe/", "/webhooks/str%69pe"])
def test_a_webhook_is_accepted_with_or_without_a_trailing_slash(web: WebHarness, path: str) -> None:
    headers = signed_headers("stripe", BODY, SECRETS["stripe"])
    assert web.http.post(path, content=BODY, headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/webhooks/nope", "unknown_source"),
        ("/webhooks/nope/", "unknown_source"),
        ("/webhooks", "not_found"),
        ("/webhooks/", "not_found"),
        ("/webhooks//", "not_found"),
        ("/webhooks/stripe//", "not_found"),
        ("/webhooks/stripe/more", "not_found"),
        ("/webhooks/stripe%2Fmore", "not_found"),
        ("/hooks/stripe", "not_found"),
    ],
)
def test_another_path_is_not_found(web: WebHarness, path: str, code: str) -> None:
    response = web.http.post(path, content=BODY)
    assert (response.status_code, response.json()["error"]["code"]) == (404, code)


def test_the_documentation_describes_the_route(web: WebHarness) -> None:
    paths = web.http.get("/openapi.json").json()["paths"]
    received = paths["/webhooks/{source}"]["post"]["responses"]
    assert {"200", "202", "400", "404", "408", "413", "415", "503"} <= set(received)


def test_an_unexpected_exception_is_a_500_and_logged_once(
    store_url: str,
    tmp_path: Path,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    async def broken(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("the cause")

    monkeypatch.setattr("service.jobs.ledger.Ledger.accept", broken)
    with run_web(store_url, tmp_path) as port, connect(port, store) as web, capture_logs() as logs:
        # When
        response = web.deliver("stripe", BODY)
        monkeypatch.undo()
        again = web.deliver("stripe", BODY)

    # Then the sender is told to retry, and the retry is accepted
    assert response.status_code == 500
    assert json.loads(response.text)["error"]["code"] == "internal_error"
    assert "cause" not in response.text
    assert again.status_code == 202
    assert [entry["event"] for entry in logs].count("unexpected error") == 1
