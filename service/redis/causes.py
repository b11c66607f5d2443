"""What an error of Redis means: its cause in words, and whether anything was stored."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, NamedTuple

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class NotConnected(RedisConnectionError):
    """There is no connection to Redis: nothing was sent."""


class Overloaded(RedisError):
    """More waits to be recorded than Redis takes: nothing was sent."""


class NotDurable(RedisError):
    """A change was made, and no replica (or disk) has confirmed it in time."""


class Cause(NamedTuple):
    """Why Redis did not do what it was asked for.

    Parameters:
      code: The first word of Redis' error, or one of ours in lower case.
      text: The cause, to continue "..., because"; it has nothing of the error's own text.
      refused: Whether Redis says that it ran nothing.
    """

    code: str
    text: str
    refused: bool


#: Redis refuses with these before it runs anything: `processCommand` of src/server.c, and
#: `scriptPrepareForRun` of src/script.c for scripts with a shebang, as all of ours have.
_REFUSALS: Final[Mapping[str, str]] = {
    "OOM": "Redis is out of memory (maxmemory)",
    "READONLY": "this Redis is a read-only replica",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write asks for",
    "MISCONF": "Redis cannot save its data to disk",
    "NOPERM": "the user in REDIS_URL lacks a right",
    "NOAUTH": "Redis does not accept the credentials in REDIS_URL",
    "WRONGPASS": "Redis does not accept the credentials in REDIS_URL",
    "LOADING": "Redis is still loading its data",
    "MASTERDOWN": "this Redis is a replica that has lost its primary",
    "CLUSTERDOWN": "this Redis runs in cluster mode, which is not supported",
    "MOVED": "this Redis runs in cluster mode, which is not supported",
    "CROSSSLOT": "this Redis runs in cluster mode, which is not supported",
    "BUSY": "Redis is busy with a script of somebody else",
    "NOSCRIPT": "Redis does not keep scripts",
    "DENIED": "Redis runs in protected mode",
}
#: Errors without a word of their own, by a part of their text. These may come after a part was
#: done.
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "ACL failure in script": ("NOPERM", "the user in REDIS_URL lacks a right"),
    "WRONGTYPE": ("WRONGTYPE", "a key of Heliograph holds what another application has stored"),
    "not an integer": (
        "WRONGTYPE",
        "a key of Heliograph holds what another application has stored",
    ),
    "cluster": ("CROSSSLOT", "this Redis runs in cluster mode, which is not supported"),
    "do not hash to the same slot": (
        "CROSSSLOT",
        "this Redis runs in cluster mode, which is not supported",
    ),
}
#: Errors that are no reply of Redis; the first class that fits counts.
_BY_CLASS: Final[Mapping[type[Exception], Cause]] = {
    Overloaded: Cause("overloaded", "more waits to be recorded than Redis takes", refused=True),
    NotConnected: Cause("unreachable", "Redis cannot be reached", refused=True),
    RedisTimeoutError: Cause("timeout", "Redis did not answer in time", refused=False),
    TimeoutError: Cause("timeout", "Redis did not answer in time", refused=False),
    Exception: Cause("connection_lost", "the connection to Redis was lost", refused=False),
}
_UNKNOWN_COMMANDS: Final = ("unknown command", "Function not found")

#: Whether this task has changed something in Redis already.
_changed: ContextVar[bool] = ContextVar("changed", default=False)


def note_change() -> None:
    """Remember that this task has changed something: a later refusal does not undo it."""
    _changed.set(True)


def forget_changes() -> None:
    """Begin anew, for the next request of a connection."""
    _changed.set(False)


def has_changed() -> bool:
    """Whether this task has changed something."""
    return _changed.get()


def cause_of(error: Exception) -> Cause:
    """Tell why Redis did not do what it was asked for.

    Parameters:
      error: Raised by a client, or by the layers over it.
    """
    code = _code(error)
    if code in _REFUSALS:
        return Cause(code, _REFUSALS[code], refused="script:" not in str(error))
    if isinstance(error, NotDurable):
        return Cause("not_durable", str(error), refused=False)
    if isinstance(error, ResponseError):
        return _cause_of_response(str(error))
    return next(cause for kind, cause in _BY_CLASS.items() if isinstance(error, kind))


def _code(error: Exception) -> str:
    """The first word of Redis' error; redis-py takes some of them off the text."""
    if isinstance(error, NotConnected) and isinstance(error.__cause__, Exception):
        return _code(error.__cause__)
    if isinstance(error, BusyLoadingError):
        return "LOADING"
    if isinstance(error, AuthenticationError):
        return "WRONGPASS"
    if isinstance(error, NoScriptError):
        return "NOSCRIPT"
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return str(code).lstrip("-")


def _cause_of_response(text: str) -> Cause:
    for part, (code, cause) in _PARTS.items():
        if part in text:
            return Cause(code, cause, refused=False)
    if any(part in text for part in _UNKNOWN_COMMANDS):
        return Cause("unsupported", "Redis does not know a command that is needed", refused=True)
    return Cause("error", "Redis reported an error", refused=False)


def words_of(error: Exception) -> str:
    """Redis' own words, with the first that redis-py takes off; for logs and `doctor`."""
    cause = error.__cause__
    if isinstance(error, NotConnected) and isinstance(cause, Exception):
        return words_of(cause)
    text, code = str(error), getattr(error, "status_code", None)
    return (text if not code or text.startswith(str(code)) else f"{code} {text}")[:200]


def said_by_redis(error: Exception) -> str:
    """The cause, then Redis' own words, for whoever runs a command."""
    return f"{cause_of(error).text}: {words_of(error)}"
