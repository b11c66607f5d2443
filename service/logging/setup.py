"""Logs: one JSON object a line on stdout, secrets masked before anything is written.

Ids travel in context variables: whoever starts on a job binds `job_id` once and every line
below it carries it. The mask is the second line of defence (the first is that secrets live in
values whose repr hides them): it also catches what a library puts into a message or traceback.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson
import structlog
from structlog.types import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from service.logging.context import with_ids
from service.logging.handler import LineHandler, Lines

MASK: Final = "[secret]"
#: Shorter values ("shop", "1234") would mask ordinary words.
MIN_MASKED_LENGTH: Final = 6
#: How long a library's repeated complaint stays unsaid (an unreachable Redis, mostly).
REPEAT_SECONDS: Final = 30.0

#: For what orjson refuses.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, default=repr)

_NOISY: Final = ("dramatiq", "redis", "periodiq")


class Masker:
    """A structlog processor that replaces known secret values wherever they stand."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for s in secrets if len(s) >= MIN_MASKED_LENGTH for form in _forms(s)}
        self._pattern = _any_of(forms)
        self._in_a_line = sorted(forms | {_JSON.encode(form)[1:-1] for form in forms})

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if self._pattern is None:
            return event
        return {key: self._masked(value) for key, value in event.items()}

    def spares(self, line: str) -> bool:
        """Whether a rendered line has no secret, however it may be written there."""
        # One after the other: a pattern of all takes twice as long, a generator half as long again.
        for form in self._in_a_line:  # noqa: SIM110
            if form in line:
                return False
        return True

    def _masked(self, value: Any) -> Any:
        if type(value) is str:  # nearly all of them
            return self.text(value)
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, dict):
            return {self._text(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked(item) for item in value]
        return self._text(value)

    def text(self, text: str) -> str:
        """A text with every known secret replaced."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def _text(self, value: Any) -> str:
        # The renderer would write what is no text by its repr, after the mask.
        return self.text(value if isinstance(value, str) else repr(value))


def _any_of(texts: set[str]) -> re.Pattern[str] | None:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if texts else None


def _forms(secret: str) -> set[str]:
    """A secret as it stands in text, in a repr, in JSON and in a URL."""
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")}


class _Seldom(logging.Filter):
    """Lets a library's repeated message through once every REPEAT_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_NOISY):
            return True
        key, now = (record.name.split(".")[0], str(record.msg)[:80]), time.monotonic()
        if now - self._said.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        if len(self._said) > 1000:
            self._said.clear()
        self._said[key] = now
        return True


def configure_logging(log_format: str = "json", secrets: Iterable[str] = ()) -> None:
    """Send everything, ours and the libraries', through one masked formatter to stdout.

    Parameters:
      log_format: `json` or `console`.
      secrets: Values that must never be written.
    """
    described: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        Stamper(),
    ]
    told, masker = structlog.processors.format_exc_info, Masker(secrets)
    rendered = _renderers(log_format)
    # dramatiq points sys.stdout at a pipe of its own; logs belong on the real one.
    stream = sys.__stdout__ or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a line is never lost to a locale
    handler = LineHandler(stream)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[with_ids, *described], processors=[remove, told, masker, *rendered]
        )
    )
    handler.addFilter(_Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    _quieten_libraries()
    # Ours go past the standard library, which takes longer over a line than the door over an event.
    structlog.configure(
        processors=[with_ids, told, *described, _Rendered(masker, rendered)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=partial(Lines, handler),
        cache_logger_on_first_use=True,
    )


class Stamper:
    """A structlog processor that says when: RFC 3339, UTC, to the microsecond.

    `structlog.processors.TimeStamper` makes a datetime of each; here a second's text is kept.
    """

    def __init__(self) -> None:
        self._known = (-1, "")

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        second, nanos = divmod(time.time_ns(), 1_000_000_000)
        known, text = self._known
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._known = second, text
        event["timestamp"] = f"{text}.{nanos // 1000:06d}Z"
        return event


class _Rendered:
    """The last processor: renders a line, and once more without secrets where it has one.

    Nearly none has: to look at a line is quicker than to look at each value before.
    """

    def __init__(self, masker: Masker, renderers: Sequence[Processor]) -> None:
        self._masker = masker
        self._renderers = renderers

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        line = self._render(logger, method, dict(event))
        if self._masker.spares(line):
            return line
        return self._render(logger, method, self._masker(logger, method, event))

    def _render(self, logger: WrappedLogger, method: str, event: Any) -> str:
        for renderer in self._renderers:
            event = renderer(logger, method, event)
        return str(event)


def _renderers(log_format: str) -> tuple[Processor, ...]:
    if log_format == "console":
        return (structlog.dev.ConsoleRenderer(colors=False),)
    # `event` is a word of ours: the sentence of a line is its `message`.
    return structlog.processors.EventRenamer("message"), _as_json


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=repr).decode()
    except TypeError:  # half a surrogate, a number without end, an odd key
        return _JSON.encode(event)


def _quieten_libraries() -> None:
    # These print requests and payloads at lower levels.
    for name in (
        "aiograpi",
        "uvicorn.access",
        "uvicorn.sockets",
        "httpx",
        "httpcore",
        "hpack",
        "h2",
        "asyncio",
        "curl_cffi",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry the ids bound in the current context.

    Parameters:
      name: Usually `__name__`.
    """
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger
