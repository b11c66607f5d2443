"""Request ids in log lines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.http.request_ids import RequestIdMiddleware
from service.logging.context import bind_ids, with_ids


def ids_of_a_request(*headers: tuple[bytes, bytes], kind: str = "http") -> Any:
    """What the log lines of a request carry that follows another one."""
    seen: list[Any] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(with_ids(None, "", {}))

    async def receive() -> Message:
        raise AssertionError

    async def send(_message: Message) -> None:
        raise AssertionError

    async def request() -> None:
        bind_ids(job_id="of the request before")
        await RequestIdMiddleware(app)({"type": kind, "headers": list(headers)}, receive, send)

    asyncio.run(request())
    return seen[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_log_lines_carry_the_id_of_their_own_request(kind: str) -> None:
    assert ids_of_a_request((b"x-request-id", b"abc-123"), kind=kind) == {"request_id": "abc-123"}


def test_a_made_id_is_in_log_lines_too() -> None:
    assert ids_of_a_request().keys() == {"request_id"}
