"""Whose jobs they are: the account of each."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import Any, cast

import redis.asyncio as aredis


class JobAccounts:
    """Reads the accounts of jobs.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def of(self, job_ids: Collection[str]) -> dict[str, str]:
        """The accounts of those jobs that are stored, by job."""
        if not job_ids:
            return {}
        async with self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(f"hg:job:{job_id}", "account")
            found = await cast("Awaitable[Sequence[bytes | None]]", pipe.execute())
        pairs = zip(job_ids, found, strict=True)
        return {job_id: account.decode() for job_id, account in pairs if account is not None}

    async def of_delivery(self, delivery_id: str) -> str | None:
        """The account of the job that a delivery tells of; None for none."""
        found: Any = await cast("Awaitable[Any]", self._client.hget(f"hg:dlv:{delivery_id}", "job"))
        job_id = (found or b"").decode()
        return (await self.of([job_id])).get(job_id)
