"""A load of signed webhooks over a few keep-alive connections, timed one by one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Timings:
    """What a load measured.

    Parameters:
      seconds: How long each answer took.
      statuses: The HTTP statuses seen.
      elapsed: From the first request to the last answer.
    """

    seconds: Sequence[float]
    statuses: frozenset[int]
    elapsed: float

    def percentile(self, share: float) -> float:
        """The time within which this share of the answers came, in ms."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def post_webhooks(
    url: str, secret: str, document: dict[str, Any], *, count: int, connections: int
) -> Timings:
    """Post events that differ in their id and payment.

    Parameters:
      url: The source's address.
      secret: Its signing secret.
      document: What they have in common.
      count: How many.
      connections: Over how many connections at a time.
    """
    return asyncio.run(_post_all(url, secret, document, count, connections))


async def _post_all(
    url: str, secret: str, document: dict[str, Any], count: int, connections: int
) -> Timings:
    requests = iter([_request(url, secret, document) for _ in range(count)])
    seconds: list[float] = []
    statuses: set[int] = set()
    parts = urlsplit(url)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for request in requests:
            began = time.perf_counter()
            writer.write(request)
            statuses.add(await _status(reader))
            seconds.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    return Timings(seconds, frozenset(statuses), time.perf_counter() - began)


def _request(url: str, secret: str, document: dict[str, Any]) -> bytes:
    mark = uuid.uuid4().hex
    thing = {**document["data"]["object"], "payment_intent": f"pi_{mark}"}
    body = json.dumps({**document, "id": f"evt_{mark}", "data": {"object": thing}}).encode()
    now = str(int(time.time())).encode()
    mac = hmac.new(secret.encode(), now + b"." + body, hashlib.sha256).hexdigest()
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={now.decode()},v1={mac}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    await reader.readexactly(int(fields[b"content-length"]))
    return int(head.split(b" ", 2)[1])
