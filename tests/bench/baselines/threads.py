"""A thread pool: the handler is a plain function, so FastAPI runs it in one of forty threads."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.outside import call
from tests.bench.baselines.serving import accepted, application, checked, is_paid, serve

app = application()


async def _body(request: Request) -> bytes:
    return await request.body()


@app.post("/webhooks/{source}")
def receive(source: str, request: Request, body: Annotated[bytes, Depends(_body)]) -> JSONResponse:
    """Accept an event and make its call at once."""
    event = checked(request, body)
    if is_paid(event):
        call()
    return accepted(event)


if __name__ == "__main__":
    serve(app)
