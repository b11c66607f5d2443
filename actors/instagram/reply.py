"""What Instagram replied to a request: the facts that decide what an error means.

The client library turns replies into exception classes by a few exact phrases at a few statuses
(aiograpi 2.1.2, mixins/private.py). Instagram says the same things at other statuses and in other
fields, so decisions read the reply itself, which `InstagramClient` attaches to every error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_ATTRIBUTE: Final = "heliograph_reply"

#: Fields that only Instagram's own errors have; a proxy's JSON has none of them.
_ERROR_FIELDS: Final = frozenset(
    {
        *("error_type", "feedback_title", "feedback_message", "feedback_required", "spam"),
        *("challenge", "checkpoint_url", "consent_data", "require_login", "logout_reason"),
        *("client_facing_error_message", "exception_name", "debug_info", "comment_error_key"),
        *("two_factor_required", "two_factor_info"),
    }
)
#: 4xx statuses which do not say that the request had no effect.
_TIMED_OUT: Final = 408
THROTTLED: Final = 429


@dataclass(frozen=True)
class Reply:
    """One HTTP reply.

    Parameters:
      status: The HTTP status.
      document: The JSON object of its body; None when the body is anything else, so that it may
        not come from Instagram itself.
      headers: Its headers, names in lower case.
      sent: Texts and names in the request, which the reply may repeat.
    """

    status: int
    document: Mapping[str, Any] | None
    headers: Mapping[str, str]
    sent: Sequence[str] = ()

    @classmethod
    def of(cls, response: Any, sent: Sequence[str] = ()) -> Reply:
        """Read a response of httpx or of the library's curl session."""
        headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
        return cls(int(response.status_code), _json_object(response.content), headers, sent)

    @property
    def is_success(self) -> bool:
        """Whether neither the status nor the body says that the request failed."""
        return 200 <= self.status < 300 and not self._fails

    @property
    def says_success(self) -> bool:
        """Whether it is a success by its own word, not only for want of another."""
        return self.is_success and (
            (self.document or {}).get("status") == "ok" or self.item_status is not None
        )

    @property
    def is_server_failure(self) -> bool:
        """Whether Instagram failed or gave up midway: a write may have been stored."""
        codes = (self.status, self.item_status or 0)
        return any(code >= 500 or code == _TIMED_OUT for code in codes)

    @property
    def is_refusal(self) -> bool:
        """Whether Instagram itself says no: then the request has had no effect.

        That is a 4xx with Instagram's own JSON, a 200 with `status: fail` or with an `item_ack` of
        4xx (instagrapi issues 1240 and 1890), and every 429.
        """
        if self.is_server_failure:
            return False
        return self.status == THROTTLED or (self.status < 300 and self._fails) or self._is_own_4xx

    @property
    def item_status(self) -> int | None:
        """The `status_code` of an `item_ack`, which may differ from the HTTP status."""
        document = self.document or {}
        payload = document.get("payload")
        inner = payload.get("status_code") if isinstance(payload, Mapping) else None
        codes = [_http_status(code) for code in (document.get("status_code"), inner)]
        return max((code for code in codes if code is not None), default=None)

    @property
    def _is_own_4xx(self) -> bool:
        own = self._fails or not _ERROR_FIELDS.isdisjoint(self.document or {})
        return 400 <= self.status < 500 and own

    @property
    def _fails(self) -> bool:
        failed = str((self.document or {}).get("status")).strip().casefold() == "fail"
        return failed or (self.item_status or 0) >= 400


def may_hide_failure(document: Any) -> bool:
    """Whether a reply that passed for a success must be looked at again; cheap for those that are.

    Parameters:
      document: The decoded body of a reply with a status of 2xx.
    """
    if not isinstance(document, Mapping):
        return False
    payload = document.get("payload")
    inside = isinstance(payload, Mapping) and "status_code" in payload
    return document.get("status") != "ok" or "status_code" in document or inside


def attach_reply(error: BaseException, response: Any, sent: Sequence[str] = ()) -> None:
    """Attach the reply to the error that it caused; None says that there was none.

    Parameters:
      error: The error.
      response: As in `Reply.of`.
      sent: As in `Reply`.
    """
    setattr(error, _ATTRIBUTE, None if response is None else Reply.of(response, sent))


def reply_of(error: BaseException) -> Reply | None:
    """Return the reply that caused an error, or None when there was none."""
    for link in exception_chain(error):
        if hasattr(link, _ATTRIBUTE):
            reply: Reply | None = getattr(link, _ATTRIBUTE)
            return reply
    return None


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


def _http_status(value: Any) -> int | None:
    text = str(value)
    return int(text) if len(text) == 3 and text.isascii() and text.isdigit() else None
