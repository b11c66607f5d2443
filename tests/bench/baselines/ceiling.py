"""The ceiling: body read, signature checked, JSON parsed, 202; nothing is stored."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.bench.baselines.serving import checked, serve

app = FastAPI()


@app.get("/healthz")
async def health() -> dict[str, str]:
    """Alive."""
    return {"status": "ok"}


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> JSONResponse:
    """Take an event and forget it."""
    event = await checked(request)
    return JSONResponse({"event_id": event["id"], "duplicate": False, "jobs": []}, 202)


if __name__ == "__main__":
    serve(app)
