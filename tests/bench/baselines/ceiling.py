"""The ceiling: body read, signature checked, JSON parsed, 202; nothing is stored."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.serving import accepted, application, checked, serve

app = application()


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> JSONResponse:
    """Accept an event and drop it."""
    return accepted(checked(request, await request.body()))


if __name__ == "__main__":
    serve(app)
