"""Which job made a write on Instagram, so that it is not mistaken for another job's."""

from __future__ import annotations

from collections.abc import Sequence

import redis.asyncio as aredis


class WriteOwnership:
    """Reads which writes finished jobs have claimed (`Claims.finish(written=...)`), and which
    tokens jobs have used (`Claims.record_intent`).
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def owned_by_others(self, account: str, ids: Sequence[str], job_id: str) -> set[str]:
        """Those of an account's comments or messages that belong to a job other than this."""
        if not ids:
            return set()
        owners = await self._client.mget([f"hg:written:{account}:{written}" for written in ids])
        return {
            written
            for written, owner in zip(ids, owners, strict=True)
            if owner is not None and owner != job_id.encode()
        }

    async def known_tokens(self, account: str, tokens: Sequence[str]) -> set[str]:
        """Those of an account's tokens that belong to a job which the store knows."""
        async with self._client.pipeline(transaction=False) as pipe:
            for token in tokens:
                pipe.zscore(f"hg:sent:{account}", token)
            known = await pipe.execute()
        return {token for token, score in zip(tokens, known, strict=True) if score is not None}
