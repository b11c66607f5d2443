"""The callbacks a receiver has received, and the responses it sends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypedDict

from standardwebhooks import Webhook, WebhookVerificationError

_KEPT_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")


class ReceivedCallback(TypedDict):
    """One callback.

    `event` is the parsed body, or null when it is not JSON; `reason` says why it is not verified;
    `status` is null when no response was sent.
    """

    seq: int
    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: str
    event: Any
    verified: bool
    reason: str | None
    status: int | None


@dataclass
class ScriptedResponse:
    """A scripted response.

    Parameters:
        path: for callbacks to this path, globs allowed.
        status: the HTTP status; None for 204 if verified, else 401.
        times: how many callbacks it applies to; None for all.
        skip: how many matching callbacks to let through first.
        delay_seconds: wait before responding.
        drip_seconds: send the body byte by byte over this time.
        hang: never respond.
        headers: additional headers, such as Retry-After or Location.
        body: the response body.
    """

    path: str = "*"
    status: int | None = None
    times: int | None = None
    skip: int = 0
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0
    hang: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def take(self, path: str) -> bool:
        """Count one callback; returns whether this response applies to it."""
        if not fnmatchcase(path, self.path) or self.times == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class ReceivedCallbacks:
    """Received callbacks and scripted responses; thread-safe.

    Parameters:
        secrets: the endpoint's signing secrets, exactly as configured; any one may match.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._verifiers = [Webhook(secret) for secret in secrets]
        self._lock = threading.Lock()
        self._responses: list[ScriptedResponse] = []
        self._received: list[ReceivedCallback] = []

    def verify(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """The reason why a callback's signature is not valid, or None if it is."""
        reason = "no secret is configured"
        for verifier in self._verifiers:
            try:
                verifier.verify(body, dict(headers), json_parse=False)
            except (WebhookVerificationError, ValueError) as exc:
                reason = str(exc) or type(exc).__name__
            else:
                return None
        return reason

    def record(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> ReceivedCallback:
        """Verify and store one callback."""
        reason = self.verify(headers, body)
        kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
        with self._lock:
            received: ReceivedCallback = {
                "seq": len(self._received) + 1,
                "at": time.time(),
                "method": method,
                "path": path,
                "headers": kept,
                "body": body.decode("utf-8", "replace"),
                "event": _parse_json(body),
                "verified": reason is None,
                "reason": reason,
                "status": None,
            }
            self._received.append(received)
        return received

    def response_for(self, received: ReceivedCallback) -> ScriptedResponse:
        """The scripted response to a callback, or the default one."""
        with self._lock:
            for response in self._responses:
                if response.take(received["path"]):
                    return response
        return ScriptedResponse()

    def add_response(self, script: Mapping[str, Any]) -> None:
        """Add a response from JSON.

        Raises:
            TypeError: it has an unknown field.
        """
        response = ScriptedResponse(**script)
        with self._lock:
            self._responses.append(response)

    def clear_responses(self) -> None:
        with self._lock:
            self._responses = []

    def clear_received(self) -> None:
        with self._lock:
            self._received = []

    def received(self, since: int = 0) -> list[ReceivedCallback]:
        """The callbacks after this sequence number, oldest first."""
        with self._lock:
            return self._received[since:]


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
