"""`.send` in the handler: a stock Dramatiq actor on its Redis broker."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.serving import checked, serve

broker = RedisBroker(url=os.environ["REDIS_URL"])
app = FastAPI()


@dramatiq.actor(broker=broker)
def thank(event: dict[str, Any]) -> None:
    """What a worker would do."""


@app.get("/healthz")
async def health() -> dict[str, str]:
    """Alive."""
    return {"status": "ok"}


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> JSONResponse:
    """Take an event and put it on the queue."""
    event = await checked(request)
    message = thank.send(event)
    return JSONResponse({"event_id": event["id"], "jobs": [message.message_id]}, 202)


if __name__ == "__main__":
    serve(app)
