"""Every error response has one shape: `{"error": {"code", "message", ...}}`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import (
    RequestValidationError,
    ValidationException,
    WebSocketRequestValidationError,
)
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.field_messages import TAGS, field_message
from service.logging.setup import get_logger

RETRY_AFTER_SECONDS: Final = 5
LINGER_SECONDS: Final = 1.0

_log = get_logger(__name__)

_STATUS_CODES: Final[Mapping[int, str]] = {
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    429: "too_many_requests",
}

#: In place of what Starlette says of a path or method that no route has.
_MESSAGES: Final[Mapping[str, str]] = {
    "Not Found": "There is nothing at this path: /docs lists all.",
    "Method Not Allowed": "This path does not take this method: see the header Allow.",
}

#: Field names that may be repeated to the caller. Anything else could be a secret sent by mistake.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}(\[[A-Za-z0-9_-]{0,40}\])?")
_LOCATIONS: Final = ("body", "query", "path", "header")


class ApiError(Exception):
    """Raised by routes to send an error response.

    Parameters:
      status: The HTTP status.
      code: A stable code for programs.
      message: What is wrong and what to do about it.
      extra: More fields of the error object.
    """

    def __init__(self, status: int, code: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    """Build an error response.

    Parameters:
      status: The HTTP status.
      code: A stable code for programs.
      message: What is wrong and what to do; never repeats what the caller sent.
      headers: Additional headers.
      extra: More fields of the error object.
    """
    content = {"error": {"code": code, "message": message, **extra}}
    return JSONResponse(content, status_code=status, headers=dict(headers or {}))


class EarlyErrorResponse(JSONResponse):
    """An error for a request whose body was not read; it closes the connection.

    The response is sent at once. Then the rest of the body is received and discarded for up to
    `LINGER_SECONDS`: closing a socket with unread bytes resets the connection, and the sender might
    never see the response.

    Parameters:
      status: The HTTP status.
      code: A stable code for programs.
      message: What is wrong and what to do.
      seconds: The time limit for the body; the discarding takes no longer than that.
      headers: Additional headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = {"error": {"code": code, "message": message}}
        super().__init__(content, status, {"Connection": "close", **(headers or {})})
        self._linger_seconds = min(seconds, LINGER_SECONDS)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Respond, then discard the rest of the body."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger_seconds):
                while (await receive()).get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def register_error_handlers(app: FastAPI) -> None:
    """Make every failure of the application an error response of this shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(WebSocketRequestValidationError, _validation_error)
    app.add_middleware(CatchAllMiddleware)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
    return error_response(error.status, error.code, error.message, **error.extra)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code == 400:
        # FastAPI's status for JSON that is not UTF-8, nested too deeply, or has huge numbers.
        return _invalid_json()
    code = _STATUS_CODES.get(error.status_code, "error")
    message = _MESSAGES.get(error.detail, error.detail)
    headers = {"Allow": _allowed_methods(request)} if error.status_code == 405 else error.headers
    return error_response(error.status_code, code, message, headers=headers)


def _allowed_methods(request: Request) -> str:
    """The methods of all routes of a path: Starlette names those of the first one only."""
    contexts = iter_route_contexts(request.app.routes)
    routes = (context.original_route for context in contexts)
    found = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(sorted({name for route in found for name in getattr(route, "methods", ())}))


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ValidationException)  # noqa: S101 - registered for this class
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return _invalid_json()
    return await _api_error(_request, invalid_request(problems))


def invalid_request(problems: Sequence[Any]) -> ApiError:
    """Build the 422 error of a body that pydantic refuses.

    Parameters:
      problems: As `ValidationError.errors()` has them.
    """
    fields = [
        {"field": _field_name(problem), "message": field_message(problem)} for problem in problems
    ]
    message = "; ".join(f"{item['field']}: {item['message']}" for item in fields)
    return ApiError(422, "invalid_request", message, fields=fields)


def _invalid_json() -> JSONResponse:
    return error_response(400, "invalid_json", "The body is not valid JSON.")


def _field_name(problem: Mapping[str, Any]) -> str:
    location, *rest = problem["loc"] or ("body",)
    rest = [part for part in rest if part not in TAGS]
    names: Sequence[int | str] = rest if location in _LOCATIONS else (location, *rest)
    # A parameter that is repeated has its name only: its places are not seen in a query.
    return ".".join(map(_plain_name, names[:1] if location == "query" else names)) or "body"


def _plain_name(name: int | str) -> str:
    """The name of a field or the place in a list, as it may be repeated to the caller."""
    if isinstance(name, int) or _PLAIN_NAME.fullmatch(name):
        return str(name)
    return "(name not shown)"


def internal_error_response(error: Exception) -> JSONResponse:
    """Respond 500, and log the exception."""
    _log.error("unexpected error", exc_info=error)
    message = "Internal error; it has been logged."
    return error_response(500, "internal_error", message)


class CatchAllMiddleware:
    """Responds 500 to exceptions that nothing else handles, and logs each once.

    Starlette's own handler raises the exception again after responding, so the server would log it
    a second time.

    Parameters:
      app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; respond 500 if it raises before its response has started."""
        started = False

        async def tracked_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, tracked_send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise  # the server logs it and closes the connection
            await internal_error_response(error)(scope, receive, send)
