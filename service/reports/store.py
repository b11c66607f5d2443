"""The files of reports in Redis."""

from __future__ import annotations

import hashlib
import json
from typing import cast

import redis.asyncio as aredis

from service.jobs.claims import Claim
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.runner import Scripts
from service.jobs.lua.store_report import StoreReportReply, store_report
from service.reports.request import ReportFormat


class ReportStore:
    """Saves and loads files; they are kept as long as texts are, and go with their jobs.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def save(self, claim: Claim, file: bytes, file_format: ReportFormat) -> StoreReportReply:
        """Store a report's file and end its job.

        Returns:
          `ok`; `canceled` if a person asked for that meanwhile; `lost` if the claim is no longer
          valid, and nothing was changed.

        Raises:
          OutOfMemoryError: The store is full; nothing was changed.
        """
        result = {
            "format": file_format,
            "bytes": len(file),
            "sha256": hashlib.sha256(file).hexdigest(),
            "result_url": f"/jobs/{claim.id}/result",
        }
        as_json = json.dumps(result, separators=(",", ":"))
        call = store_report(claim.id, claim.owner, claim.fence, file, as_json)
        return await self._scripts.run(call)

    async def load(self, job_id: str) -> bytes | None:
        """The file of a report; None if it is not stored any more."""
        return cast("bytes | None", await self._client.get(f"hg:report:{job_id}"))
