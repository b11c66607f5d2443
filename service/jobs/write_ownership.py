"""Which job something at Instagram belongs to: what one job wrote is not taken for another's."""

from __future__ import annotations

from collections.abc import Sequence

import redis.asyncio as aredis


class WriteOwnership:
    """Reads what finished jobs have claimed (`Claims.finish(written=...)`).

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def owned_by_others(self, account: str, ids: Sequence[str], job_id: str) -> set[str]:
        """Tell which ids other jobs have claimed.

        Parameters:
          account: Whose writes they are.
          ids: Instagram's ids of comments or messages.
          job_id: Who asks.

        Returns:
          Those that belong to a job other than `job_id`.
        """
        if not ids:
            return set()
        owners = await self._client.mget([f"hg:written:{account}:{each}" for each in ids])
        return {
            each
            for each, owner in zip(ids, owners, strict=True)
            if owner is not None and owner != job_id.encode()
        }
