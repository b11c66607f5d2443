"""The log of every request: an entry is added when a request starts and completed at its end."""

from __future__ import annotations

import time

from deploy.local.instagram.http import Request
from deploy.local.instagram.records import CallRecord


class CallLog:
    """Every request since the start or the last reset, in order of their start."""

    def __init__(self) -> None:
        self._calls: list[CallRecord] = []

    def begin(
        self, request: Request, path: str, http_version: str, connection: int | None
    ) -> CallRecord:
        """Log a request whose head has arrived.

        Parameters:
            path: the path with its query.
            connection: the id of the proxy tunnel it came through.
        """
        call: CallRecord = {
            "seq": len(self._calls) + 1,
            "call": "",
            "account": None,
            "user_id": None,
            "method": request.method,
            "host": request.host,
            "path": path,
            "http_version": http_version,
            "connection": connection,
            "fault": None,
            "begun": time.monotonic(),
            "begun_at": time.time(),
            "gone": None,
            "ended": None,
            "ended_at": None,
            "status": None,
            "outcome": None,
        }
        self._calls.append(call)
        return call

    def since(self, seq: int = 0) -> list[CallRecord]:
        """The requests after this sequence number."""
        return self._calls[seq:]


def end(call: CallRecord, status: int | None, outcome: str) -> None:
    """Complete a request's entry.

    Parameters:
        status: the HTTP status that was sent, or None.
        outcome: `answered`, `dropped_before`, `dropped_after`, `hung`, `truncated`, `client_gone`
            (the client had disconnected), `malformed` or `crashed`.
    """
    call["status"], call["outcome"] = status, outcome
    call["ended"], call["ended_at"] = time.monotonic(), time.time()
