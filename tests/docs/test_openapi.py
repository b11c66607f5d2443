"""docs/openapi.json: it is what the routes say, and fit for generators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.openapi import PATH, document, find_response, text, validate


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in {**document()["paths"], **document()["webhooks"]}.items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


NAMED = dict(operations())
every_operation = pytest.mark.parametrize("name", NAMED)


def test_the_file_is_what_the_routes_say() -> None:
    assert PATH.read_text() == text(), "run `make openapi`"


def test_operation_ids_are_unique_names_of_acts() -> None:
    ids = [operation["operationId"] for operation in NAMED.values()]
    assert len(set(ids)) == len(ids)
    # FastAPI's own have a path and a method in them, with two underscores where an argument is.
    assert [each for each in ids if not re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", each)] == []


@every_operation
def test_every_operation_has_a_tag_that_is_described_and_a_summary(name: str) -> None:
    operation = NAMED[name]
    described = {tag["name"] for tag in document()["tags"]}
    assert len(operation["tags"]) == 1
    assert set(operation["tags"]) <= described
    assert operation["summary"]
    assert operation["description"]


@every_operation
def test_every_json_answer_has_a_schema_with_fields(name: str) -> None:
    for status in NAMED[name]["responses"]:
        response = find_response(NAMED[name], status) or {}
        for media_type, media in response.get("content", {}).items():
            if media_type == "application/json":
                assert {"$ref", "anyOf"} & media["schema"].keys(), status


@every_operation
def test_every_example_is_valid(name: str) -> None:
    for status in NAMED[name]["responses"]:
        response = find_response(NAMED[name], status) or {}
        media = response.get("content", {}).get("application/json", {})
        if "example" in media:
            assert validate(media["schema"], media["example"]) == [], status


def test_every_example_of_a_schema_is_valid() -> None:
    for name, schema in document()["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            assert validate(schema, example) == [], name


@every_operation
def test_no_parameter_is_null(name: str) -> None:
    for parameter in NAMED[name].get("parameters", ()):
        assert {"type": "null"} not in parameter["schema"].get("anyOf", ()), parameter["name"]


def test_callbacks_are_described_with_their_signature() -> None:
    for operation in (methods["post"] for methods in document()["webhooks"].values()):
        assert {each["name"] for each in operation["parameters"]} == {
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        }
        assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]


@pytest.mark.parametrize(
    ("heading", "schema"), [("Creating a job", "JobRequest"), ("A job", "Job")]
)
def test_the_guide_has_every_field_of_a_job(heading: str, schema: str) -> None:
    guide = (PATH.parent / "api.md").read_text()
    section = guide.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section, re.MULTILINE)
    named = set(re.findall(r"\w+", " ".join(first_cells)))
    assert named == set(document()["components"]["schemas"][schema]["properties"])
