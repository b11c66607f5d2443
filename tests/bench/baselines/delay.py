"""`.delay` in the handler: a Celery task with Redis as its broker."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.serving import checked, serve

celery = Celery("bench", broker=os.environ["REDIS_URL"])
celery.conf.task_ignore_result = True
app = FastAPI()


@celery.task
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
    result = thank.delay(event)
    return JSONResponse({"event_id": event["id"], "jobs": [result.id]}, 202)


if __name__ == "__main__":
    serve(app)
