"""`.send` in the handler: a stock Dramatiq actor on its Redis broker."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from fastapi import Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.serving import REDIS, accepted, application, checked, serve

broker = RedisBroker(url=os.environ[REDIS])  # type: ignore[no-untyped-call]
app = application()


@dramatiq.actor(broker=broker)
def thank(event: dict[str, Any]) -> None:
    """The actor, which no worker runs here."""


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> JSONResponse:
    """Accept an event and put all of it on the queue: there is no other record of it."""
    event = checked(request, await request.body())
    return accepted(event, thank.send(event).message_id)


if __name__ == "__main__":
    serve(app)
