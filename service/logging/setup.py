"""Log setup: one JSON object a line on stdout, without secrets.

Whoever starts on a job binds its `job_id` once, with `context.bind_ids`, and every line logged
below carries it.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Iterable
from functools import partial
from typing import Final, TextIO

import orjson
import structlog
from structlog.types import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from service.logging.context import with_ids
from service.logging.handler import BufferedHandler, LineLogger
from service.logging.redaction import RedactingRenderer, SecretRedactor
from service.unicode_text.invisible import escape_invisible

#: How long a library's repeated message is left out (an unreachable Redis, mostly).
REPEAT_SECONDS: Final = 30.0

_REPEATING: Final = ("dramatiq", "redis", "periodiq")
#: These log requests and payloads below `warning`.
_VERBOSE: Final = (
    "aiograpi",
    "uvicorn.access",
    "uvicorn.sockets",
    "httpx",
    "httpcore",
    "hpack",
    "h2",
    "asyncio",
    "curl_cffi",
)
_DEL: Final = "\x7f"
_TEXT: Final = structlog.dev.ConsoleRenderer(colors=False)
#: For what orjson refuses.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, default=repr)


class RepeatFilter(logging.Filter):
    """Lets a library's repeated message through once every REPEAT_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record: always, if it is not of a library that repeats itself."""
        if not record.name.startswith(_REPEATING):
            return True
        key, now = (record.name.split(".")[0], str(record.msg)[:80]), time.monotonic()
        if now - self._logged_at.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        if len(self._logged_at) > 1000:
            self._logged_at.clear()
        self._logged_at[key] = now
        return True


def configure_logging(log_format: str = "json", secrets: Iterable[str] = ()) -> None:
    """Send our lines and the libraries', in one form and without secrets, to stdout.

    Parameters:
      log_format: `json` or `console`.
      secrets: Values that must never be written.
    """
    shared: list[Processor] = [
        with_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Processor] = [
        structlog.processors.format_exc_info,
        *_renderers(log_format, SecretRedactor(secrets)),
    ]
    handler = BufferedHandler(_stdout())
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove_meta, *rendered]
        )
    )
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Our own lines bypass the standard library: one with 3 ids and 6 fields takes 9 us, where a
    # library's line takes 19 with the ids alone.
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=partial(LineLogger, handler),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry the ids bound in the current context.

    Parameters:
      name: Usually `__name__`.
    """
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def _stdout() -> TextIO:
    # dramatiq points sys.stdout at a pipe of its own; logs belong on the real one.
    stream = sys.__stdout__ or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # no locale may cost a line
    return stream


def _renderers(log_format: str, redactor: SecretRedactor) -> tuple[Processor, ...]:
    if log_format == "console":
        return (RedactingRenderer(redactor, _as_text),)
    # `event` is a domain term here: the text of a line is its `message`.
    rename = structlog.processors.EventRenamer("message")
    return rename, RedactingRenderer(redactor, _as_json)


def _as_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Render one line, and indent what follows, so that no value can look like another line."""
    traceback = str(event.pop("exception", "")).splitlines()
    line = escape_invisible(_TEXT(logger, method, event))
    return "\n".join([line, *(f"    {escape_invisible(each)}" for each in traceback)])


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        line = orjson.dumps(event, default=repr).decode()
    except TypeError:  # half a surrogate pair, a huge integer, a key that is no text
        line = _JSON.encode(event)
    # Anything but ASCII stands in strings, and so does DEL, where an escape means the same.
    return line if line.isascii() and _DEL not in line else escape_invisible(line)
