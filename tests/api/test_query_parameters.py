"""A query parameter that a route does not have is refused, and the nearest known one is named."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

from service.api import webhooks
from service.api.query_parameters import QueryParameters
from service.app import ROUTERS
from tests.support.event_streams import WebSocket, WebSocketRejected
from tests.support.web import API_KEY, WebHarness, order
from tests.support.webhook_signatures import SECRETS, signed_headers

BEARER = {"Authorization": f"Bearer {API_KEY}"}
PHOTO_FORM = {"photo": ("a.jpg", b"x", "image/jpeg")}


def _requests() -> Iterator[tuple[str, str]]:
    """Every method and path of the application but the webhooks'; WS for a WebSocket."""
    routes = (
        route for module in ROUTERS if module is not webhooks for route in module.router.routes
    )
    for route in routes:
        assert isinstance(route, APIRoute | APIWebSocketRoute)
        path = re.sub(r"{[^}]*}", "x", route.path)
        for method in getattr(route, "methods", ["WS"]):
            yield method, path


REQUESTS = sorted(set(_requests()))


def send(web: WebHarness, method: str, target: str) -> tuple[int, str]:
    """Send a request; return its status and body."""
    if method != "WS":
        response = web.api.request(method, target)
        return response.status_code, response.text
    with pytest.raises(WebSocketRejected) as rejected:
        WebSocket(web.port, target, BEARER)
    return rejected.value.status, rejected.value.body.decode()


def problems(response: httpx.Response) -> dict[str, str]:
    """The message about each field of a 422."""
    assert response.status_code == 422, response.text
    return {each["field"]: each["message"] for each in response.json()["error"]["fields"]}


@pytest.mark.parametrize(("method", "path"), REQUESTS, ids=lambda part: part)
def test_every_route_refuses_an_unknown_parameter(web: WebHarness, method: str, path: str) -> None:
    status, body = send(web, method, f"{path}?nonsense=1")
    assert status == 422
    if method != "HEAD":
        (problem,) = json.loads(body)["error"]["fields"]
        assert problem["field"] == "nonsense"
        assert "is not a parameter here: " in problem["message"]


def test_who_has_no_key_is_told_that_first(web: WebHarness) -> None:
    assert web.http.get("/jobs?nonsense=1").status_code == 401
    assert web.http.get("/healthz?nonsense=1").status_code == 422


def test_the_routes_are_found() -> None:
    some = {("GET", "/jobs"), ("WS", "/live"), ("GET", "/openapi.json"), ("HEAD", "/users/x")}
    assert some <= set(REQUESTS)


@pytest.mark.parametrize(
    ("target", "field", "remedy"),
    [
        ("/jobs?acount=shop", "acount", "did you mean 'account'?"),
        ("/people/jenny?nope=1", "nope", "known are cursor, limit"),
        ("/accounts?status=held", "status", "there are none"),
        ("/events?metadata[order]=1", "metadata[order]", "known are "),
        ("/jobs?_=1", "_", "known are "),
        ("/deliveries?query=1", "query", "known are "),
        ("/deliveries?status=failed&Status=failed", "Status", "did you mean 'status'?"),
    ],
)
def test_the_nearest_known_parameter_is_named_or_else_all(
    web: WebHarness, target: str, field: str, remedy: str
) -> None:
    ((name, message),) = problems(web.api.get(target)).items()
    assert name == field
    assert message.startswith(f"is not a parameter here: {remedy}")


def test_all_of_them_are_named_at_once_beside_no_value(web: WebHarness) -> None:
    response = web.api.get("/jobs?a=the-value&b=the-value&a=the-value&limit=0")
    assert set(problems(response)) == {"a", "b"}
    assert "the-value" not in response.text


@pytest.mark.parametrize("name", ["", "%00", "sk live", "x" * 41, "\u00e9", "a[", "a[b]c"])
def test_a_name_that_could_be_anything_is_not_repeated(web: WebHarness, name: str) -> None:
    assert set(problems(web.api.get("/jobs", params={name: "1"}))) == {"(name not shown)"}


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/jobs?limit=5&limit=6", "limit"),
        ("/jobs/x?wait=1&wait=1", "wait"),
        ("/users/x?wait=0&wait=0", "wait"),
    ],
)
def test_a_parameter_given_twice_is_refused_where_one_is_taken(
    web: WebHarness, target: str, field: str
) -> None:
    assert problems(web.api.get(target)) == {field: "is given 2 times: send it once"}


def test_a_parameter_that_takes_several_may_be_repeated(web: WebHarness) -> None:
    response = web.api.get("/users", params={"username": ["some.handle", "other"], "wait": "0"})
    assert [item["username"] for item in response.json()["items"]] == ["some.handle", "other"]


def test_the_keys_of_an_object_are_known_as_the_document_describes_them() -> None:
    parameter = {"name": "metadata", "in": "query", "style": "deepObject", "explode": True}
    route = APIRoute("/", lambda: None, openapi_extra={"parameters": [parameter]})
    names = ("metadata[order]", "metadata[a b]", "metadata", "metadata[]", "metadata[a][b]", "m[a]")
    found = dict(QueryParameters.of(route).problems(Counter([*names, "metadata[order]"])))
    assert list(found) == [*("metadata[order]", "metadata", "metadata[]", "metadata[a][b]", "m[a]")]
    assert found["metadata"] == "is not a parameter here: did you mean 'metadata[key]'?"


def test_a_photo_upload_refuses_them_too(web: WebHarness) -> None:
    response = web.api.post("/jobs?priority=1", files=PHOTO_FORM, data={"job": "{}"})
    assert set(problems(response)) == {"priority"}
    assert web.contents() == {}


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/webhooks/str%69pe"])
def test_senders_of_webhooks_may_add_parameters(web: WebHarness, path: str) -> None:
    body = order("stripe")
    headers = signed_headers("stripe", body, SECRETS["stripe"])
    response = web.http.post(f"{path}?via=proxy&via=2", content=body, headers=headers)
    assert response.status_code == 202
