"""What Instagram replied to a request: the facts that decide what an error means.

The client library turns replies into exception classes by a few exact phrases at a few statuses
(aiograpi 2.1.2, mixins/private.py). Instagram says the same things at other statuses and in other
fields, so decisions read the reply itself, which `InstagramClient` attaches to every error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_ATTRIBUTE: Final = "heliograph_reply"


@dataclass(frozen=True)
class Reply:
    """One HTTP reply.

    Parameters:
      status: The HTTP status.
      document: The JSON object of its body; None when the body is anything else, so that it may
        not come from Instagram itself.
      headers: Its headers, names in lower case.
    """

    status: int
    document: Mapping[str, Any] | None
    headers: Mapping[str, str]

    @classmethod
    def of(cls, response: Any) -> Reply:
        """Read a response of httpx or of the library's curl session."""
        headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
        return cls(int(response.status_code), _json_object(response.content), headers)


def attach_reply(error: BaseException, response: Any) -> None:
    """Attach the reply to the error that it caused; without a response, do nothing."""
    if response is not None:
        setattr(error, _ATTRIBUTE, Reply.of(response))


def reply_of(error: BaseException) -> Reply | None:
    """Return the reply that caused an error, or None when there was none."""
    replies = (getattr(link, _ATTRIBUTE, None) for link in exception_chain(error))
    return next((reply for reply in replies if reply is not None), None)


def exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, its causes and its contexts; the library often raises without `from`."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            pending += [link.__context__, link.__cause__]


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
