"""A synchronous client in an async handler: while it waits, so does everybody."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.outside import call
from tests.bench.baselines.serving import accepted, application, checked, is_paid, serve

app = application()


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> JSONResponse:
    """Take an event and do at once what it asks for."""
    event = checked(request, await request.body())
    if is_paid(event):
        call()
    return accepted(event)


if __name__ == "__main__":
    serve(app)
