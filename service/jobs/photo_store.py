"""The stored photos of jobs, for workers, and the claims to fetch them."""

from __future__ import annotations

from typing import cast

import redis.asyncio as aredis

from service.jobs.claims import Claim
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.claim_photo_fetch import claim_photo_fetch
from service.jobs.lua.runner import Scripts
from service.jobs.lua.store_photo import store_photo
from service.photos.photo import Photo


class PhotoStore:
    """Loads and saves photos; the script that ends a job deletes its photo."""

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def load(self, claim: Claim) -> bytes | None:
        """The JPEG that a job sends; None if there is none any more."""
        return cast("bytes | None", await self._client.get(f"hg:jobphoto:{claim.id}"))

    async def claim_fetch(self, job_id: str, owner: str) -> Claim | None:
        """Claim a job to fetch its photo, for an owner that is unique to this claim.

        The claim needs no turn. `Claims.finish` ends the job, `Claims.release` to `waiting` gives
        it back, and `save` has it ask for its turn.

        Returns:
          The claim, whose text is the URL; None if the photo is not to be fetched now.
        """
        claimed = await self._scripts.run(claim_photo_fetch(job_id, owner))
        return None if claimed is None else Claim.of(job_id, owner, claimed)

    async def save(self, claim: Claim, photo: Photo) -> bool:
        """Save a photo that was fetched, and have its job ask for the account's turn.

        Parameters:
          claim: From `claim_fetch`.

        Returns:
          Whether the claim is still valid; otherwise nothing was changed.

        Raises:
          OutOfMemoryError: The store is full; nothing was changed.
        """
        metadata = photo.metadata("url")
        call = store_photo(claim.id, claim.owner, claim.fence, photo.jpeg, metadata, photo.sha256)
        return await self._scripts.run(call) == "ok"
