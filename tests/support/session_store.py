"""Vaults over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore

SECRET = "a secret key of thirty-two characters or more"


@asynccontextmanager
async def open_session_store(
    url: str, secret: str = SECRET
) -> AsyncIterator[tuple[SessionStore, Any]]:
    """Open a session store; yields it and its Redis client."""
    async with Redis.from_url(url) as redis:
        yield SessionStore(redis, derive_keys(secret)), redis
