"""What is wrong with a field is said in terms of JSON, whatever the field is and is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import pytest
from fastapi._compat import ModelField
from fastapi.dependencies.utils import get_flat_params
from pydantic import BaseModel

from service.http.field_messages import MESSAGES
from tests.support.routes import application, routes
from tests.support.web import WebHarness

DM: Final[dict[str, Any]] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
BULK: Final[dict[str, Any]] = {"action": "cancel", "filter": {"account": "shop"}}
#: What no field takes all of; each breaks a rule that another does not.
VALUES: Final[list[Any]] = [
    *(None, True, 5, -1, 1.5, 10**9, 10**30, float("nan"), "", "x", "9" * 30, "x" * 2000),
    *("\ud800", "2026-02-30T09:00:00Z", [], [5], ["x"] * 2000, [[]], {}, {"a": []}, b"{"),
]
#: How pydantic speaks of Python, and who wrote a class.
FOREIGN: Final = re.compile(
    r"should|valid (string|integer|number|boolean|dict|list)|instance|Request|parse|validation, not"
)


def fields_of_routes() -> Iterator[ModelField]:
    """Every parameter and body that a route has."""
    for _, route in routes(application()):
        if hasattr(route, "dependant"):
            yield from get_flat_params(route.dependant)
            yield from [body] if (body := getattr(route, "body_field", None)) else []


def values_for(annotation: Any, depth: int = 2) -> Iterator[Any]:
    """Values for a field of a type, and for the fields of a model in it."""
    yield from VALUES
    for part in (annotation, *get_args(annotation)):
        if depth and isinstance(part, type) and issubclass(part, BaseModel):
            for name, field in part.model_fields.items():
                inner = values_for(field.annotation, depth - 1)
                yield from ({field.alias or name: value} for value in inner)


def kinds_of_problems() -> set[str]:
    """The types of all errors that the fields make of the values."""
    return {
        problem["type"]
        for field in fields_of_routes()
        for value in values_for(field.field_info.annotation)
        for problem in field.validate(value, {}, loc=("body",))[1]
    }


def test_every_kind_of_problem_has_a_message_of_ours() -> None:
    kinds = kinds_of_problems()
    assert kinds - {"value_error"} <= set(MESSAGES)
    assert len(kinds) > 15  # the values reach the fields


def fields(web: WebHarness, path: str, body: Any) -> list[dict[str, str]]:
    """What an answer says of each field."""
    response = web.api.post(
        path, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    document = response.json()
    error = document["items"][0]["error"] if response.status_code == 200 else document["error"]
    assert FOREIGN.search(response.text) is None, response.text
    found: list[dict[str, str]] = error["fields"]
    return found


EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
ONE_OR_MANY: Final = (
    "must be a JSON object, or an array of such objects, sent as Content-Type: application/json"
)


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("/jobs", 5, "body", ONE_OR_MANY),
        ("/jobs", [5], "body", "must be a JSON object"),
        ("/jobs", [], "body", "must have at least 1 item"),
        ("/jobs", [{}] * 101, "body", "must have at most 100 items"),
        ("/jobs", DM | {"text": 5}, "text", "must be a string"),
        ("/jobs", DM | {"text": ""}, "text", "must have at least 1 character"),
        ("/jobs", DM | {"account": "x" * 65}, "account", "must have at most 64 characters"),
        ("/jobs", DM | {"account": "\ud800"}, "account", "must not contain a lone surrogate"),
        ("/jobs", DM | {"priority": "5"}, "priority", "must be a whole number"),
        ("/jobs", DM | {"priority": 10}, "priority", "must be at most 9"),
        ("/jobs", DM | {"delay_seconds": -1}, "delay_seconds", "must be at least 0"),
        ("/jobs", DM | {"dry_run": 1}, "dry_run", "must be true or false"),
        ("/jobs", DM | {"metadata": []}, "metadata", "must be a JSON object"),
        (
            "/jobs",
            DM | {"run_at": "2026-02-30T09:00:00Z"},
            "run_at",
            "is not a time that exists: check its month, day, hour and zone",
        ),
        ("/jobs:bulk", [], "body", "must be a JSON object, sent as Content-Type: application/json"),
        (
            "/jobs:bulk",
            BULK | {"token": "op"},
            "token",
            "must match the regular expression ^op_[a-z2-7]{26}$",
        ),
        (
            "/jobs:bulk",
            {"action": "cancel", "filter": {"metadata": {"a": []}}},
            "filter.metadata.a",
            "must be a string, a number, true or false",
        ),
        *(
            (
                "/jobs:bulk",
                {"action": "cancel", "filter": {"metadata": entries}},
                "filter.metadata",
                "must not contain a lone surrogate",
            )
            for entries in ({"\ud800": "x"}, {"x": "\ud800"})
        ),
        (
            "/events:replay",
            {"filter": {"created_since": LATER, "created_until": EARLIER}},
            "filter.created_until",
            "must be later than created_since",
        ),
    ],
)
def test_a_field_is_told_what_it_takes(
    web: WebHarness, path: str, body: Any, field: str, message: str
) -> None:
    assert fields(web, path, body) == [{"field": field, "message": message}]
    assert web.contents() == {}


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/nowhere", "There is nothing at this path: /docs lists all."),
        ("GET", "/events/a%0ab", "There is nothing at this path: /docs lists all."),
        ("DELETE", "/jobs", "This path does not take this method: see the header Allow."),
    ],
)
def test_a_path_or_method_that_no_route_has_is_answered_with_a_remedy(
    web: WebHarness, method: str, path: str, message: str
) -> None:
    assert web.api.request(method, path).json()["error"]["message"] == message
