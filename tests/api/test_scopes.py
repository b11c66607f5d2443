"""What the scope of an API key allows: every route has one, and no key does more than it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi.dependencies.models import Dependant

from service.api.auth import RequireScope
from service.credentials.api_keys import INCLUDED, SCOPES, KeyScope
from tests.support.routes import application, routes
from tests.support.web import KEY_OF, WebHarness

#: Routes that ask for no API key, and why.
PUBLIC: Final = {
    "POST /webhooks/{source}": "the signature of the sender is checked",
    "POST /webhooks/{source}/": "the same",
    "GET /openapi.json": "the documentation has no data",
    "GET /healthz": "for the platform, which has no key; it has no data",
    "GET /readyz": "the same",
    "GET /metrics": "METRICS_KEY, where it is set",
    "GET /docs": "the same",
    "GET /docs/assets/{name}": "the same",
    "GET /redoc": "the same",
    "GET /users/{username}/followers": "405: says that an export is started with POST",
    "GET /users/{username}/following": "the same",
}
DOCUMENT: Final = Path(__file__).parents[2] / "docs/configuration.md"


def scopes_of(dependant: Dependant) -> set[KeyScope]:
    """The scopes that a route asks for, through any of its dependencies."""
    own = {dependant.call.scope} if isinstance(dependant.call, RequireScope) else set()
    return own.union(*map(scopes_of, dependant.dependencies))


def scopes(route: Any) -> set[KeyScope]:
    """The scopes that a route asks for."""
    return scopes_of(route.dependant) if hasattr(route, "dependant") else set()


ASKED: Final = [(name, scopes(route)) for name, route in routes(application())]
GUARDED: Final = [(name, asked) for name, asked in ASKED if name not in PUBLIC]
WRITING: Final = [name for name, _ in GUARDED if name.split()[0] not in ("GET", "HEAD", "WS")]


@pytest.mark.parametrize(("name", "asked"), ASKED, ids=[name for name, _ in ASKED])
def test_every_route_asks_for_one_scope_or_is_known_to_be_public(
    name: str, asked: set[KeyScope]
) -> None:
    assert len(asked) == (0 if name in PUBLIC else 1)


def test_every_public_route_exists() -> None:
    assert set(PUBLIC) <= {name for name, _ in ASKED}


@pytest.mark.parametrize(
    ("name", "scope"), [(name, scope) for name, (scope,) in GUARDED if scope != "read"]
)
def test_the_documents_say_which_scope_a_route_needs(name: str, scope: KeyScope) -> None:
    (row,) = re.findall(rf"^\| `{scope}` \|.*$", DOCUMENT.read_text(), re.MULTILINE)
    assert f"`{name.replace(':path', '')}`" in row


def test_only_reading_needs_no_more_than_read() -> None:
    assert [name for name, asked in GUARDED if asked == {"read"} and name in WRITING] == []


def request(web: WebHarness, name: str, key: str) -> httpx.Response:
    """Send a request to a route, with a name of nothing in its path."""
    method, path = name.split(" ")
    path = re.sub(r"\{[^}]*\}", "nothing", path)
    headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=0"}
    return web.http.request(method, path, headers=headers)


def is_refused(response: httpx.Response, key_name: str, scope: str) -> bool:
    error = response.json().get("error", {})
    return (
        (response.status_code, error.get("code"), error.get("scope")) == (403, "forbidden", scope)
        and f"`{key_name}`" in error["message"]
        and error["message"].endswith(f"it needs the scope `{scope}`.")
    )


@pytest.mark.parametrize("name", WRITING)
def test_a_key_that_may_only_read_changes_nothing(web: WebHarness, name: str) -> None:
    (scope,) = dict(GUARDED)[name]
    assert is_refused(request(web, name, KEY_OF["read"]), "read", scope)
    assert web.contents() == {}


@pytest.mark.parametrize("given", SCOPES)
def test_a_key_is_refused_by_the_routes_of_every_scope_that_it_does_not_include(
    web: WebHarness, given: KeyScope
) -> None:
    streams = ("GET /live", "GET /jobs/{job_id}/live")
    for name, (scope,) in GUARDED:
        if name.startswith("WS ") or name in streams:
            continue
        refused = request(web, name, KEY_OF[given]).status_code == 403
        assert refused is (scope not in INCLUDED[given]), name


def test_what_is_answered_before_the_router_asks_for_a_key_as_well(web: WebHarness) -> None:
    wrong = {"Authorization": "Bearer not-one-of-the-keys", "Prefer": "wait=0"}
    for path in ("/users/some.handle", "/posts/DNZCmWE8gAB"):
        assert web.http.get(path, headers=wrong).status_code == 401
        assert request(web, f"GET {path}", KEY_OF["read"]).status_code != 403
