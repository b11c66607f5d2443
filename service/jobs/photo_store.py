"""The stored photos of jobs, for workers."""

from __future__ import annotations

from typing import cast

import redis.asyncio as aredis

from service.jobs.claims import Claim
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.runner import Scripts
from service.jobs.lua.store_photo import store_photo
from service.photos.photo import Photo


class PhotoStore:
    """Loads and saves photos; the script that ends a job deletes its photo."""

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def load(self, claim: Claim) -> bytes | None:
        """The JPEG that a job sends; None if there is none, or it is not downloaded yet."""
        return cast("bytes | None", await self._client.get(f"hg:jobphoto:{claim.id}"))

    async def save(self, claim: Claim, photo: Photo) -> bool:
        """Save a downloaded and converted photo, so that every attempt sends the same one.

        Returns:
          Whether the claim is still valid, and before its write; otherwise nothing was changed.
        """
        metadata = photo.metadata("url")
        call = store_photo(claim.id, claim.owner, claim.fence, photo.jpeg, metadata, photo.sha256)
        return await self._scripts.run(call) == "ok"
