"""The OpenAPI document: what FastAPI makes of the routes, and what is true of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from service.api.models.errors import ErrorBody


def _error(description: str, code: str, message: str, **more: Any) -> dict[str, Any]:
    example = {"error": {"code": code, "message": message, **more}}
    content = {"application/json": {"schema": _SCHEMA, "example": example}}
    return {"description": f"{description} (`{code}`)", "content": content}


_SCHEMA: Final = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}

#: Of every operation. The model has FastAPI add its schema to the document.
DEFAULT_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    400: _error(
        "The request is malformed", "bad_request", "The path has an encoded slash where it has..."
    ),
    422: {"model": ErrorBody}
    | _error(
        "A field or parameter is invalid; the message names it",
        "invalid_request",
        "limit: must be less than or equal to 200",
        fields=[{"field": "limit", "message": "must be less than or equal to 200"}],
    ),
    500: _error("A fault of the service", "internal_error", "Internal error; it has been logged."),
}
#: Of operations that need an API key.
_KEY_RESPONSES: Final = {
    "401": _error(
        "The key is missing or unknown",
        "unauthorized",
        "The key is missing or unknown: send `Authorization: Bearer KEY`.",
    ),
    "403": _error(
        "The key does not have the scope",
        "forbidden",
        "The key `crm` may not create or change jobs: it needs the scope `jobs`.",
        scope="jobs",
    ),
    "429": _error(
        "Too many wrong keys came from this address",
        "too_many_requests",
        "Too many wrong keys came from your address: try again in 31 seconds, or send a right one"
        " at any time.",
    ),
    "503": _error(
        "Redis is unavailable; the message says what is certain",
        "store_unavailable",
        "Nothing was stored: Redis does not answer. Send it again (POST /jobs with the same"
        " Idempotency-Key).",
    ),
}
#: Of operations with a body.
_BODY_RESPONSES: Final = {
    "408": _error(
        "The body arrived too slowly", "slow_body", "The body did not arrive within 10 seconds."
    ),
    "413": _error(
        "The body is too large", "body_too_large", "The body is larger than 262144 bytes."
    ),
    "415": _error(
        "The body has a Content-Encoding",
        "unsupported_encoding",
        "Send the body without a Content-Encoding.",
    ),
}
_NULL: Final = {"type": "null"}


class DocumentedApi(FastAPI):
    """A FastAPI whose OpenAPI document is completed."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, which is made once."""
        if self.openapi_schema is None:
            complete(super().openapi())
        assert self.openapi_schema is not None  # noqa: S101 - FastAPI keeps what it has made
        return self.openapi_schema


def complete(document: dict[str, Any]) -> None:
    """Add to a document what is true of all operations, in place."""
    for operation in operations(document):
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])
        for media in operation.get("requestBody", {}).get("content", {}).values():
            media["schema"] = _without_null(media["schema"])
        _complete_responses(operation)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the operations of all paths."""
    for path in document["paths"].values():
        yield from path.values()


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without null, which no parameter can be: left out, it has its default."""
    rest = [each for each in schema.get("anyOf", ()) if each != _NULL]
    if len(rest) != 1:
        return schema
    return {**rest[0], **{name: schema[name] for name in schema if name != "anyOf"}}


def _complete_responses(operation: dict[str, Any]) -> None:
    common = {
        **(_KEY_RESPONSES if operation.get("security") else {}),
        **(_BODY_RESPONSES if "requestBody" in operation else {}),
    }
    responses = {**common, **operation["responses"]}
    for status, response in responses.items():
        if int(status) >= 400:
            response.setdefault("content", {"application/json": {"schema": _SCHEMA}})
        for media in response.get("content", {}).values():
            media["schema"] = _only_model(media.get("schema", {}))
    operation["responses"] = dict(sorted(responses.items()))


def _only_model(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without what FastAPI derives from `dict`, if it has that of a model."""
    return {"$ref": schema["$ref"]} if "$ref" in schema else schema
