"""The least that FastAPI does for a JSON object: one route, no API key, no lookup.

python -m tests.bench.baselines.bare PORT OBJECT
"""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.web import SERVING

app = FastAPI()
_OBJECT: dict[str, Any] = json.loads(sys.argv[2])


@app.get("/users/{username}")
async def user(username: str) -> dict[str, Any]:
    """Return the profile for any username."""
    return _OBJECT


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), **SERVING)
