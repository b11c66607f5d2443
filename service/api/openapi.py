"""The OpenAPI document: what FastAPI makes of the routes, and what is true of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from service.api.models.answer import restore_nulls
from service.api.models.errors import ErrorBody

_SCHEMA: Final = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}
#: Has FastAPI add the schema of errors to the document, and no response of its own for 422.
_PLACEHOLDER: Final = "default"
DEFAULT_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {_PLACEHOLDER: {"model": ErrorBody}}


#: Of a 429.
_LIMIT_HEADERS: Final = {
    name: {"description": description, "schema": {"type": "string"}}
    for name, description in {
        "Retry-After": "Seconds until a request may succeed",
        "RateLimit": "The limit that is reached, what remains of it (0), and until when",
        "RateLimit-Policy": "The limit's requests and its window in seconds, where it has these",
    }.items()
}


def _error(description: str, code: str, message: str, **more: Any) -> dict[str, Any]:
    example = {"error": {"code": code, "message": message, **more}}
    content = {"application/json": {"schema": _SCHEMA, "example": example}}
    return {"description": f"{description} (`{code}`)", "content": content}


#: Errors that operations share, by status: `components.responses` of the document.
_SHARED: Final = {
    "400": _error("The request is malformed", "invalid_json", "The body is not valid JSON."),
    "401": _error(
        "The key is missing or unknown",
        "unauthorized",
        "The key is missing or unknown: send `Authorization: Bearer KEY`.",
    ),
    "403": _error(
        "The key does not have the scope, or is bound to other accounts",
        "forbidden",
        "The key `crm` may not create or change jobs: it needs the scope `jobs`.",
        scope="jobs",
    ),
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
    "422": _error(
        "A field or parameter is invalid, or not known; the message names it",
        "invalid_request",
        "limit: must be at most 200",
        fields=[{"field": "limit", "message": "must be at most 200"}],
    ),
    "429": _error(
        "Too many wrong keys came from this address",
        "too_many_requests",
        "Too many wrong keys came from your address: try again in 31 seconds, or send a right one"
        " at any time.",
    )
    | {"headers": _LIMIT_HEADERS},
    "500": _error(
        "A fault of the service", "internal_error", "Internal error; it has been logged."
    ),
    "503": _error(
        "Redis is unavailable; the message says what is certain",
        "store_unavailable",
        "Nothing was stored: Redis does not answer. Send it again (POST /jobs with the same"
        " Idempotency-Key).",
    ),
}
#: Those of every operation, of those that need an API key, and of those with a body.
_OF_ALL: Final = ("400", "422", "500")
_OF_KEYS: Final = ("401", "403", "429", "503")
_OF_BODIES: Final = ("408", "413", "415")
_TAGS: Final = {
    "webhooks": "Where senders deliver their events",
    "jobs": "DMs and comments: create, find, follow, change; what was decided about them",
    "live": "Changes of jobs as they happen",
    "lookups": "Profiles, posts and follower exports",
    "events": "What webhooks have reported",
    "deliveries": "Callbacks that are owed, and their attempts",
    "accounts": "The Instagram accounts that act",
    "suppressions": "Whom not to write to",
    "people": "What is kept about a person",
    "operations": "Many jobs or events at once",
    "stats": "How much went out, and what failed",
    "health": "For platforms and monitoring",
    "callbacks": "What is sent to callback endpoints",
}
_NULL: Final = {"type": "null"}


class DocumentedApi(FastAPI):
    """A FastAPI whose OpenAPI document is completed."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, which is made once."""
        if self.openapi_schema is None:
            self.openapi_schema = restore_nulls(super().openapi())
            complete(self.openapi_schema)
        return self.openapi_schema


def complete(document: dict[str, Any]) -> None:
    """Add to a document what is true of all operations, in place."""
    document["components"]["responses"] = _SHARED
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
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
    """Add the errors that an operation shares with others, and every error's body."""
    own = operation["responses"]
    del own[_PLACEHOLDER]
    shared = [
        *_OF_ALL,
        *(_OF_KEYS if operation.get("security") else ()),
        *(_OF_BODIES if "requestBody" in operation else ()),
    ]
    for status, response in own.items():
        if int(status) >= 400:
            response.setdefault("content", {"application/json": {"schema": _SCHEMA}})
        for media in response.get("content", {}).values():
            media["schema"] = _only_model(media.get("schema", {}))
    references = {status: {"$ref": f"#/components/responses/{status}"} for status in shared}
    operation["responses"] = dict(sorted({**references, **own}.items()))


def _only_model(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without what FastAPI derives from `dict`, if it has that of a model."""
    return {"$ref": schema["$ref"]} if "$ref" in schema else schema
