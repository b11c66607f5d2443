"""The OpenAPI document, and answers held against it.

`make openapi` writes it to docs/openapi.json.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema_rs

from service.app import create_api

PATH: Final = Path(__file__).parents[2] / "docs" / "openapi.json"


@functools.cache
def document() -> dict[str, Any]:
    """The document of the API."""
    return create_api().openapi()


def check_answer(response: httpx.Response) -> None:
    """Check that an answer is one that the document announces: its status, type and body.

    It has no header twice. This is a hook of httpx clients. What streams is not read.

    Raises:
      AssertionError: It is not.
    """
    names = [name.lower() for name, _ in response.headers.raw]
    assert len(names) == len(set(names)), f"a header is there twice: {names}"
    request = response.request
    path, operation = find_operation(request.method, request.url.path)
    if operation is None or response.status_code == 405 or "Upgrade" in request.headers:
        return
    documented = find_response(operation, response.status_code)
    name = f"{request.method} {path} -> {response.status_code}"
    assert documented is not None, f"{name}: this status is not documented"
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    content = documented.get("content", {})
    if not content or request.method == "HEAD":
        return
    assert media_type in content, f"{name}: {media_type!r} is not documented"
    if media_type == "application/json":
        schema = content[media_type]["schema"]
        errors = list(_validator(str(schema), _Schema(schema)).iter_errors(_json(response)))
        assert not errors, f"{name}: " + "; ".join(_problem(error) for error in errors)


def find_response(operation: Mapping[str, Any], status: int | str) -> Mapping[str, Any] | None:
    """What an operation says of a status; None if it does not say anything."""
    found: Mapping[str, Any] | None = operation["responses"].get(str(status))
    if found is None or "$ref" not in found:
        return found
    shared: Mapping[str, Any] = document()["components"]["responses"]
    return shared[found["$ref"].rpartition("/")[2]]  # type: ignore[no-any-return]


def find_operation(method: str, path: str) -> tuple[str, Mapping[str, Any] | None]:
    """The template of a path, and its operation; None if there is none."""
    wanted = "get" if method == "HEAD" else method.lower()
    for template, pattern in _patterns():
        operation = document()["paths"][template].get(wanted)
        if operation is not None and pattern.fullmatch(path):
            return template, operation
    return path, None


def validate(schema: Mapping[str, Any], instance: Any) -> list[str]:
    """What is wrong with a value by a schema of the document."""
    validator = _validator(str(schema), _Schema(schema))
    return [_problem(error) for error in validator.iter_errors(instance)]


class _Schema:
    """A schema that takes no part in the key of a cache."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Schema)

    def __hash__(self) -> int:
        return 0


@functools.cache
def _validator(_name: str, schema: _Schema) -> Any:
    whole = {**schema.schema, "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """The templates of all paths, the most specific first: with the longest fixed text."""
    templates = sorted(document()["paths"], key=_fixed_length, reverse=True)
    return [(each, re.compile(_pattern(each), re.DOTALL)) for each in templates]


def _fixed_length(template: str) -> int:
    return len(re.sub(r"\{\w+\}", "", template))


def _pattern(template: str) -> str:
    # Arguments of these have slashes in them: ids of events, links.
    some = ".+" if template.startswith(("/events/", "/users/", "/posts/")) else "[^/]+"
    return re.sub(r"\\\{\w+\\\}", some, re.escape(template))


def _json(response: httpx.Response) -> Any:
    response.read()
    # Not `.json()`: importing aiograpi replaces it with one without big integers.
    return json.loads(response.content)


def _problem(error: Any) -> str:
    where = "/".join(str(part) for part in error.instance_path)
    return f"at {where or '(top)'}: {error.message}"


def text() -> str:
    """The document as docs/openapi.json has it."""
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
