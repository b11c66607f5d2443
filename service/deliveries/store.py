"""Deliveries: the callbacks owed, what was tried, and how each ended.

A delivery is opened by the script that ends its job; here it is claimed, attempted and read.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.claim_delivery import claim_delivery
from service.jobs.lua.get_delivery_payload import get_delivery_payload
from service.jobs.lua.record_delivery_attempt import record_delivery_attempt
from service.jobs.lua.runner import Scripts
from service.jobs.queries import Page, newest_members
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

#: What an attempt may have nothing to say of.
_NO_ATTEMPT: Final[Mapping[str, Any]] = dict.fromkeys(
    ("number", "code", "message", "status", "next_in_ms")
)

DeliveryStatus = Literal["pending", "delivering", "delivered", "failed"]


@dataclass(frozen=True)
class DeliveryClaim:
    """A delivery that is ours to attempt.

    Parameters:
      id: Its id, sent as `webhook-id` with every attempt.
      endpoint: Name of the callback.
      payload: The frozen bytes.
      attempts: How many attempts were charged so far.
      put_backs: How often it was put back since the last of them.
      created_ms: When it was opened.
      owner: Unique to this claim.
      fence: Grows with each claim.
    """

    id: str
    job_id: str
    endpoint: str
    payload: bytes = field(repr=False)
    attempts: int
    created_ms: int
    owner: str
    fence: int
    deferrals: int = 0


class Deliveries:
    """Works on deliveries and reads them.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
      scripts: What runs the scripts, where that is not the client alone.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, scripts: Scripts | None = None
    ) -> None:
        self._client = client
        self._scripts = scripts or Scripts(client, script_config)

    async def claim(self, delivery_id: str, owner: str) -> DeliveryClaim | None:
        """Take a delivery that is due; None when there is nothing to do now."""
        claimed = await self._scripts.run(claim_delivery(delivery_id, owner))
        if claimed is None:
            return None
        fields = claimed.fields
        return DeliveryClaim(
            id=delivery_id,
            job_id=fields["job"],
            endpoint=fields["endpoint"],
            payload=claimed.payload,
            attempts=int(fields["attempts"]),
            created_ms=int(fields["created"]),
            owner=owner,
            fence=claimed.fence,
            deferrals=int(fields.get("put_backs", "0")),
        )

    async def record(
        self,
        claim: DeliveryClaim,
        to: Literal["delivered", "failed", "pending"],
        attempt: Mapping[str, Any],
        *,
        after_ms: int = 0,
        counts: bool = True,
    ) -> bool:
        """Record how an attempt ended.

        Parameters:
          claim: The claim.
          to: `pending` when another attempt follows.
          attempt: What to show of it.
          after_ms: From now to the next attempt.
          counts: Whether the attempt is charged.

        Returns:
          Whether the claim still held; otherwise nothing was written.
        """
        told = {name: value for name, value in attempt.items() if value is not None}
        shown = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        return await self._end(claim, to, after_ms, "counts" if counts else "free", shown)

    async def defer(self, claim: DeliveryClaim, *, after_ms: int) -> bool:
        """Give a delivery back for which no attempt was made; its attempt log does not tell.

        Parameters:
          claim: The claim.
          after_ms: From now to when it is due again.

        Returns:
          Whether the claim still held; otherwise nothing was written.
        """
        return await self._end(claim, "pending", after_ms, "put_back", "")

    async def _end(
        self,
        claim: DeliveryClaim,
        to: Literal["delivered", "failed", "pending"],
        after_ms: int,
        charge: Literal["counts", "free", "put_back"],
        attempt: str,
    ) -> bool:
        call = record_delivery_attempt(
            claim.id, claim.owner, claim.fence, to, after_ms, charge, attempt
        )
        return await self._scripts.run(call) == "ok"

    async def read(self, delivery_id: str) -> dict[str, Any] | None:
        """One delivery with its payload and attempts, as the API shows it."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(f"hg:dlv:{delivery_id}")
            pipe.lrange(f"hg:dlvlog:{delivery_id}", 0, -1)
            pipe.get(f"hg:payload:{delivery_id}")
            fields, log, payload = await pipe.execute()
        if not fields:
            return None
        # A release before this one kept it in the record.
        payload = payload or fields.get(b"payload") or await self._payload_of(fields)
        shown = _shown(delivery_id, fields)
        shown["payload"] = json.loads(payload) if payload else None
        shown["attempt_log"] = [_NO_ATTEMPT | json.loads(line) for line in log]
        return shown

    async def _payload_of(self, fields: Mapping[bytes, bytes]) -> bytes | None:
        """What was delivered, as its job tells it."""
        return await self._scripts.run(get_delivery_payload(fields[b"job"], fields[b"run"]))

    async def of_job(self, job_id: str, runs: int) -> list[dict[str, Any]]:
        """The deliveries of one job, a run each, oldest first."""
        ids = [f"dlv_{job_id.removeprefix('job_')}_{run}" for run in range(1, runs + 1)]
        return await self._many(ids)

    async def page(self, status: DeliveryStatus | None, *, cursor: int | None, limit: int) -> Page:
        """A page of deliveries, newest first."""
        index = f"hg:dlvs:status:{status}" if status else "hg:dlvs"
        batch = await newest_members(self._client, index, cursor, limit)
        items = await self._many([member.decode() for member, _ in batch])
        return Page(items, batch[-1][1] if len(batch) == limit else None)

    async def _many(self, ids: list[str]) -> list[dict[str, Any]]:
        async with self._client.pipeline(transaction=False) as pipe:
            for delivery_id in ids:
                pipe.hgetall(f"hg:dlv:{delivery_id}")
            found = await cast("Awaitable[list[dict[bytes, bytes]]]", pipe.execute())
        return [
            _shown(delivery_id, fields)
            for delivery_id, fields in zip(ids, found, strict=True)
            if fields
        ]


def _shown(delivery_id: str, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    text = decode_fields(fields)
    return {
        "id": delivery_id,
        "job_id": text["job"] or None,
        "run": int(text["run"]),
        "callback": text["endpoint"],
        "type": text["type"],
        "status": text["status"],
        "attempts": int(text["attempts"]),
        "created_at": rfc3339(int(text["created"])),
        "next_attempt_at": rfc3339(int(text["next_at"])) if text["status"] == "pending" else None,
        "ended_at": rfc3339(int(text.get("ended", "0"))),
    }
