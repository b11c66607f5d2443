"""One shape for every error: `{"error": {"code", "message", ...}}`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import (
    RequestValidationError,
    ValidationException,
    WebSocketRequestValidationError,
)
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logging.setup import get_logger

RETRY_AFTER_SECONDS: Final = 5
LINGER_SECONDS: Final = 1.0

_log = get_logger(__name__)

_CODES: Final[Mapping[int, str]] = {
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}

#: Ours instead of pydantic's: what to do, in the words of JSON.
_MESSAGES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here: remove it, or look at /docs for the name",
    "model_attributes_type": "must be a JSON object, sent as Content-Type: application/json",
}

#: A name that may be repeated to the caller: anything else might be what he sent by mistake.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_NOT_NAMES: Final = ("body", "query", "path", "header")


class ErrorFields(BaseModel):
    """What went wrong; some errors say more."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="A stable word for programs")
    message: str = Field(description="A sentence that says what to do")


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    error: ErrorFields


#: For the documentation of every path.
ANY_ERROR: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": ErrorAnswer, "description": "An error"}
}


class ApiError(Exception):
    """An answer that is an error.

    Parameters:
      status: The HTTP status.
      code: A stable word for programs.
      message: A sentence that says what to do.
      extra: More fields for the error object.
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
    """An error as a response.

    Parameters:
      status: The HTTP status.
      code: A stable word for programs.
      message: A sentence for people; never what the caller sent.
      headers: More headers.
      extra: More fields for the error object.
    """
    content = {"error": {"code": code, "message": message, **extra}}
    return JSONResponse(content, status_code=status, headers=dict(headers or {}))


class EarlyErrorResponse(JSONResponse):
    """An error for a request whose body was not read: the connection ends with it.

    It is sent at once. Then what is still on its way is taken and dropped for a moment: closing
    on unread bytes resets the connection, and the sender might never read the answer.

    Parameters:
      status: The HTTP status.
      code: A stable word for programs.
      message: A sentence for people.
      seconds: How long the sender might have taken over the body; that moment is no longer.
      headers: More headers.
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
        """Answer, then drop the rest of the body."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger_seconds):
                while (await receive()).get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def register_error_handlers(app: FastAPI) -> None:
    """Give every failure of the app that shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _invalid)
    app.add_exception_handler(RedisError, redis_unavailable_response)
    app.add_exception_handler(OSError, redis_unavailable_response)
    app.add_middleware(CatchAllMiddleware)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - what it is registered for
    return error_response(error.status, error.code, error.message, **error.extra)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    if error.status_code == 400:
        # FastAPI's for JSON that is no UTF-8, nested without end, or has endless numbers.
        return _not_json()
    code = _CODES.get(error.status_code, "error")
    return error_response(error.status_code, code, str(error.detail), headers=error.headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ValidationException)  # noqa: S101 - what it is registered for
    found = error.errors()
    if any(problem["type"] == "json_invalid" for problem in found):
        return _not_json()
    fields = [{"field": _place(problem), "message": _remedy(problem)} for problem in found]
    message = "; ".join(f"{item['field']}: {item['message']}" for item in fields)
    return error_response(422, "invalid_request", message, fields=fields)


def _not_json() -> JSONResponse:
    return error_response(400, "invalid_json", "The body is not valid JSON.")


def _place(problem: Mapping[str, Any]) -> str:
    names = [str(part) for part in problem["loc"] if part not in _NOT_NAMES]
    plain = (name if _PLAIN_NAME.fullmatch(name) else "(a name not shown)" for name in names)
    return ".".join(plain) or "body"


def _remedy(problem: Mapping[str, Any]) -> str:
    kind = problem["type"]
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    return _MESSAGES.get(kind) or str(problem["msg"]).replace("Input should", "must")


async def redis_unavailable_response(_request: Request, error: Exception) -> JSONResponse:
    """503, and when to come again.

    Parameters:
      error: What the store's client raised.
    """
    _log.error("redis unavailable", error=type(error).__name__, detail=str(error)[:200])
    return error_response(
        503,
        "store_unavailable",
        # A reply that was lost may belong to a change that was made.
        "The store does not answer as it should, so nothing is certain. Send it again"
        " (POST /jobs with its Idempotency-Key).",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def internal_error_response(error: Exception) -> JSONResponse:
    """500 for what nothing else answers, and the log line about it.

    Parameters:
      error: What was raised.
    """
    _log.error("unexpected error", exc_info=error)
    message = "Something failed here; it has been logged."
    return error_response(500, "internal_error", message)


class CatchAllMiddleware:
    """Answers 500 where nothing else answered, and writes the one log line about it.

    Starlette's own handler raises again after answering, so that the server writes a second one.

    Parameters:
      app: The application around which it stands.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on; answer what failed, unless the answer had begun."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise  # the server logs it and cuts the connection
            await internal_error_response(error)(scope, receive, send)
