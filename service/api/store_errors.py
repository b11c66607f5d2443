"""503 where Redis did not do what a request needed: with the cause, and whether anything is stored.

*Nothing was stored* is said only where Redis (or this process) refused before anything ran;
everything else is *not certain*, because the reply may have been lost after the change was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError

from service.http.errors import RETRY_AFTER_SECONDS, error_response
from service.logging.setup import get_logger
from service.redis.causes import Cause, cause_of, has_changed, words_of

#: How long the same cause is not logged again.
LOG_SECONDS: Final = 10.0

_SEND_AGAIN: Final = "Send it again (POST /jobs with the same Idempotency-Key)."

_log = get_logger(__name__)


class CauseLog:
    """Logs each cause once in LOG_SECONDS, with how many requests it has met since.

    Parameters:
      clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}

    def add(self, cause: Cause, said: str, error: Exception) -> None:
        """Log a request that failed, or count it.

        Parameters:
          said: What its caller was told.
          error: Raised by a Redis client.
        """
        code, now = cause.code, self._clock()
        if now - self._logged_at.get(code, -LOG_SECONDS) < LOG_SECONDS:
            self._unlogged[code] = self._unlogged.get(code, 0) + 1
            return
        self._logged_at[code] = now
        _log.error(
            "redis error",
            error=type(error).__name__,
            said=said,
            detail=words_of(error),
            not_logged=self._unlogged.pop(code, 0),
        )


_causes: Final = CauseLog()


def register_store_errors(app: FastAPI) -> None:
    """Make every error of Redis a response of this kind."""
    app.add_exception_handler(RedisError, store_error_response)
    app.add_exception_handler(OSError, store_error_response)


async def store_error_response(_request: Request, error: Exception) -> JSONResponse:
    """Respond 503 with Retry-After, and log the error.

    Parameters:
      error: Raised by a Redis client.
    """
    return unavailable_response(error, changed=has_changed())


def unavailable_response(error: Exception, *, changed: bool) -> JSONResponse:
    """Respond 503 with Retry-After, and log the error.

    Parameters:
      error: Raised by a Redis client.
      changed: Whether the request has changed something before.
    """
    cause = cause_of(error)
    said = explain(cause, changed=changed)
    _causes.add(cause, said, error)
    return _response(f"{said} {_SEND_AGAIN}")


def not_ready_response(refusal: str) -> JSONResponse:
    """Respond 503 to who asks for readiness.

    Parameters:
      refusal: Why requests would be refused.
    """
    return _response(f"Webhooks and POST /jobs would be refused: {refusal}.")


def _response(message: str) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return error_response(503, "store_unavailable", message, headers=headers)


def explain(cause: Cause, *, changed: bool) -> str:
    """Say whether anything is stored, and why not.

    Parameters:
      cause: Why Redis did not do it.
      changed: Whether the request has changed something before.
    """
    if cause.refused and not changed:
        return f"Nothing was stored: {cause.text}."
    return f"Nothing is certain, the request may or may not have taken effect: {cause.text}."
