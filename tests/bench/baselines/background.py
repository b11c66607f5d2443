"""BackgroundTasks: runs after the response, in the same threads, and is lost with the process."""

from __future__ import annotations

from fastapi import BackgroundTasks, Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.outside import call
from tests.bench.baselines.serving import accepted, application, checked, is_paid, serve

app = application()


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request, tasks: BackgroundTasks) -> JSONResponse:
    """Accept an event and make its call later."""
    event = checked(request, await request.body())
    if is_paid(event):
        tasks.add_task(call)
    return accepted(event)


if __name__ == "__main__":
    serve(app)
