"""The least that FastAPI can do: one route, one JSON object, no key. What our routes are held to.

python -m tests.bench.bare PORT BYTES
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.web import SERVING


def bare_app(size: int) -> FastAPI:
    """An application whose one answer is an object like a profile.

    Parameters:
      size: Of its JSON, in bytes.
    """
    app = FastAPI()
    profile = profile_of(size)

    @app.get("/users/{username}")
    async def user(username: str) -> dict[str, Any]:
        return profile

    return app


def profile_of(size: int) -> dict[str, Any]:
    return {}


if __name__ == "__main__":
    uvicorn.run(bare_app(int(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), **SERVING)
