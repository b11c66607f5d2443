"""BackgroundTasks: answered first, done after; in the same threads, and lost with the process."""

from __future__ import annotations

from fastapi import BackgroundTasks, Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.outside import call
from tests.bench.baselines.serving import accepted, application, checked, is_paid, serve

app = application()


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request, tasks: BackgroundTasks) -> JSONResponse:
    """Take an event and do later what it asks for."""
    event = checked(request, await request.body())
    if is_paid(event):
        tasks.add_task(call)
    return accepted(event)


if __name__ == "__main__":
    serve(app)
