"""`.delay` in the handler: a Celery task with Redis as its broker."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from fastapi import Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.serving import REDIS, accepted, application, checked, serve

celery = Celery("bench", broker=os.environ[REDIS])
celery.conf.task_ignore_result = True
app = application()


@celery.task  # type: ignore[untyped-decorator]
def thank(event: dict[str, Any]) -> None:
    """The task, which no worker runs here."""


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> JSONResponse:
    """Accept an event and put all of it on the queue: there is no other record of it."""
    event = checked(request, await request.body())
    return accepted(event, thank.delay(event).id)


if __name__ == "__main__":
    serve(app)
