"""The stored photos of jobs, for workers, and the claims to fetch them."""

from __future__ import annotations

from typing import cast

import redis.asyncio as aredis

from service.encryption import places
from service.encryption.cipher import Cipher
from service.jobs.claims import Claim
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.claim_photo_fetch import claim_photo_fetch
from service.jobs.lua.runner import Scripts
from service.jobs.lua.store_photo import store_photo
from service.photos.photo import Photo


class PhotoStore:
    """Loads and saves photos; the script that ends a job deletes its photo.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases, retention and limits.
      cipher: Encrypts photos.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig, cipher: Cipher) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._cipher = cipher

    async def load(self, claim: Claim) -> bytes | None:
        """The JPEG that a job sends; None if there is none any more.

        Raises:
          Unreadable: It cannot be decrypted.
        """
        stored = cast("bytes | None", await self._client.get(f"hg:jobphoto:{claim.id}"))
        if stored is None:
            return None
        return self._cipher.decrypt(stored, places.job_photo(claim.id))

    async def claim_fetch(self, job_id: str, owner: str) -> Claim | None:
        """Claim a job to fetch its photo, for an owner that is unique to this claim.

        The claim needs no turn. `Claims.finish` ends the job, `Claims.release` to `waiting` gives
        it back, and `save` has it ask for its turn.

        Returns:
          The claim, whose text is the URL; None if the photo is not to be fetched now.
        """
        claimed = await self._scripts.run(claim_photo_fetch(job_id, owner))
        return None if claimed is None else Claim.of(job_id, owner, claimed, self._cipher)

    async def save(self, claim: Claim, photo: Photo) -> bool:
        """Save a photo that was fetched, and have its job ask for the account's turn.

        Parameters:
          claim: From `claim_fetch`.

        Returns:
          Whether the claim is still valid; otherwise nothing was changed.

        Raises:
          OutOfMemoryError: The store is full; nothing was changed.
        """
        jpeg = photo.jpeg
        if self._cipher.enabled:
            jpeg = self._cipher.encrypt(jpeg, places.job_photo(claim.id))
        call = store_photo(
            claim.id,
            claim.owner,
            claim.fence,
            jpeg,
            photo.metadata("url"),
            photo.sha256,
            "1" if self._cipher.enabled else "",
        )
        return await self._scripts.run(call) == "ok"
