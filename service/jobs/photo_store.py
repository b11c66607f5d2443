"""The photos of jobs, as workers find and leave them."""

from __future__ import annotations

from typing import cast

import redis.asyncio as aredis

from service.jobs.claims import Claim
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.runner import Scripts
from service.jobs.lua.store_photo import store_photo
from service.photos.photo import Photo


class PhotoStore:
    """Reads and keeps photos; they go with the end of their job, in the step that ends it.

    Parameters:
      client: The event loop's Redis client.
      script_config: Retention.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def load(self, claim: Claim) -> bytes | None:
        """The JPEG that a job sends; None where there is none (yet)."""
        return cast("bytes | None", await self._client.get(f"hg:jobphoto:{claim.id}"))

    async def save(self, claim: Claim, photo: Photo) -> bool:
        """Keep a photo that was fetched, so that every attempt sends the same one.

        Parameters:
          claim: The claim, before its write.
          photo: What was fetched.

        Returns:
          Whether the claim still held; only then was anything changed.
        """
        facts = photo.facts("url")
        call = store_photo(claim.id, claim.owner, claim.fence, photo.jpeg, facts, photo.sha256)
        return await self._scripts.run(call) == "ok"
