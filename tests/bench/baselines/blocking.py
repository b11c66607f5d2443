"""A synchronous client in an async handler: while it waits, every request waits."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.outside import call
from tests.bench.baselines.serving import accepted, application, checked, is_paid, serve

app = application()


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> JSONResponse:
    """Accept an event and make its call at once."""
    event = checked(request, await request.body())
    if is_paid(event):
        call()
    return accepted(event)


if __name__ == "__main__":
    serve(app)
