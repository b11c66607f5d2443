"""What a receiver of callbacks has received, and what it answers."""

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
    `status` is null when no answer was given.
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
    """A scripted answer.

    Parameters:
        path: for callbacks to this path, globs allowed.
        status: the HTTP status; None is 204 or 401 as verified or not.
        times: for how many callbacks; None for every one.
        skip: how many matching callbacks go by first.
        delay_seconds: wait before answering.
        drip_seconds: send the body in small pieces over so long.
        hang: never answer.
        headers: further headers, such as Retry-After or Location.
        body: the answer's body.
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
        """Count one callback; tells whether this answer is for it."""
        if not fnmatchcase(path, self.path) or self.times == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class ReceivedCallbacks:
    """What was received, and what is answered next; safe for many threads.

    Parameters:
        secrets: the endpoint's signing secrets, exactly as configured; any one may match.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._verifiers = [Webhook(secret) for secret in secrets]
        self._lock = threading.Lock()
        self._answers: list[ScriptedResponse] = []
        self._received: list[ReceivedCallback] = []

    def verify(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Why a callback is not to be trusted, or None if it is."""
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
        """Verify and keep one callback."""
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
                "event": _parsed(body),
                "verified": reason is None,
                "reason": reason,
                "status": None,
            }
            self._received.append(received)
        return received

    def answer_for(self, received: ReceivedCallback) -> ScriptedResponse:
        """The scripted answer for a callback, or the usual one."""
        with self._lock:
            for answer in self._answers:
                if answer.take(received["path"]):
                    return answer
        return ScriptedResponse()

    def script(self, script: Mapping[str, Any]) -> None:
        """Add an answer from JSON.

        Raises:
            TypeError: if it has an unknown field.
        """
        answer = ScriptedResponse(**script)
        with self._lock:
            self._answers.append(answer)

    def clear_answers(self) -> None:
        """Answer as usual again."""
        with self._lock:
            self._answers = []

    def clear_received(self) -> None:
        """Forget what was received."""
        with self._lock:
            self._received = []

    def received(self, since: int = 0) -> list[ReceivedCallback]:
        """The callbacks after this sequence number, oldest first."""
        with self._lock:
            return self._received[since:]


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
