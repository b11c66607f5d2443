"""Deliveries: callbacks owed, their attempts and their results.

A delivery is created by the script that ends its job; this module claims, updates and reads it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import orjson
import redis.asyncio as aredis

from service.deliveries.delivery_filter import DeliveryFilter
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.claim_delivery import claim_delivery
from service.jobs.lua.find_deliveries import find_deliveries
from service.jobs.lua.get_delivery_payload import get_delivery_payload
from service.jobs.lua.record_delivery_attempt import record_delivery_attempt
from service.jobs.lua.runner import Scripts
from service.jobs.queries import Page
from service.jobs.stored_names import DELIVERY_ATTEMPTS, public_name
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

#: Fields of a logged attempt; those without a value are not stored.
_ATTEMPT_FIELDS: Final[Mapping[str, Any]] = dict.fromkeys(
    ("number", "code", "message", "status", "next_in_ms")
)

#: Entries of an index that one script call looks at, which blocks the store meanwhile, and the
#: most calls for one page.
EFFORT: Final = 1_000
MAX_CALLS: Final = 4


@dataclass(frozen=True)
class DeliveryClaim:
    """A delivery claimed by this worker.

    Parameters:
      id: The delivery's id, sent as `webhook-id` with every attempt.
      job_id: The job that it reports.
      endpoint: Name of the callback.
      payload: The request body, the same in every attempt.
      attempts: Attempts counted so far.
      created_ms: When it was created, Unix milliseconds.
      owner: Unique to this claim.
      fence: Increases with each claim.
      deferrals: How often it was deferred since the last counted attempt.
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
    """Claims, updates and reads deliveries.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
      scripts: Runs the scripts; by default, over the client.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, scripts: Scripts | None = None
    ) -> None:
        self._client = client
        self._scripts = scripts or Scripts(client, script_config)

    async def claim(self, delivery_id: str, owner: str) -> DeliveryClaim | None:
        """Claim a delivery; None if it is not due, claimed by another worker, or ended."""
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
        """Record the result of an attempt.

        Parameters:
          claim: The claim.
          to: The delivery's new status; `pending` if another attempt follows.
          attempt: The attempt's entry in the log.
          after_ms: Milliseconds until the next attempt.
          counts: Whether the attempt counts.

        Returns:
          Whether the claim was still valid; otherwise nothing was written.
        """
        known = {name: value for name, value in attempt.items() if value is not None}
        entry = json.dumps(known, ensure_ascii=False, separators=(",", ":"))
        return await self._record_result(claim, to, after_ms, "counts" if counts else "free", entry)

    async def defer(self, claim: DeliveryClaim, *, after_ms: int) -> bool:
        """Release a delivery without an attempt; its attempt log gets no entry.

        Parameters:
          claim: The claim.
          after_ms: Milliseconds until it is due again.

        Returns:
          Whether the claim was still valid; otherwise nothing was written.
        """
        return await self._record_result(claim, "pending", after_ms, "deferred", "")

    async def _record_result(
        self,
        claim: DeliveryClaim,
        to: Literal["delivered", "failed", "pending"],
        after_ms: int,
        charge: Literal["counts", "free", "deferred"],
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
        # Older releases stored the payload in the record.
        payload = payload or fields.get(b"payload") or await self._build_payload(fields)
        delivery = _to_public(delivery_id, fields, log[-1] if log else None)
        delivery["payload"] = json.loads(payload) if payload else None
        delivery["attempt_log"] = [_public_attempt(line) for line in log]
        return delivery

    async def _build_payload(self, fields: Mapping[bytes, bytes]) -> bytes | None:
        """The payload of a finished delivery, built from its job's record."""
        return await self._scripts.run(get_delivery_payload(fields[b"job"], fields[b"run"]))

    async def of_job(self, job_id: str, runs: int) -> list[dict[str, Any]]:
        """The deliveries of one job, one per run, oldest first."""
        ids = [f"dlv_{job_id.removeprefix('job_')}_{run}" for run in range(1, runs + 1)]
        return await self._read_many(ids)

    async def page(
        self, delivery_filter: DeliveryFilter, *, cursor: int | None, limit: int
    ) -> Page:
        """A page of deliveries, newest first.

        Parameters:
          cursor: From the previous page; None for the first.
          limit: The most on the page, at least 1; it may have fewer although more follow.
        """
        query, ids = orjson.dumps(delivery_filter.query()), list[str]()
        for _ in range(MAX_CALLS):
            call = find_deliveries(query, cursor, limit - len(ids), EFFORT)
            reply = await self._scripts.run(call)
            ids += reply.ids
            cursor = reply.next
            if cursor is None or len(ids) == limit:
                break
        return Page(await self._read_many(ids), cursor)

    async def _read_many(self, ids: list[str]) -> list[dict[str, Any]]:
        async with self._client.pipeline(transaction=False) as pipe:
            for delivery_id in ids:
                pipe.hgetall(f"hg:dlv:{delivery_id}")
                pipe.lindex(f"hg:dlvlog:{delivery_id}", -1)
            replies = await cast("Awaitable[list[Any]]", pipe.execute())
        return [
            _to_public(delivery_id, fields, last_attempt)
            for delivery_id, fields, last_attempt in zip(
                ids, replies[::2], replies[1::2], strict=True
            )
            if fields
        ]


def _public_attempt(line: bytes) -> dict[str, Any]:
    attempt: dict[str, Any] = json.loads(line)
    for name in attempt.keys() & {"outcome", "code"}:
        attempt[name] = public_name(DELIVERY_ATTEMPTS, attempt[name])
    return {**_ATTEMPT_FIELDS, **attempt}


def _to_public(
    delivery_id: str, fields: Mapping[bytes, bytes], last_attempt: bytes | None
) -> dict[str, Any]:
    text = decode_fields(fields)
    failed = last_attempt if text["status"] != "delivered" else None
    return {
        "id": delivery_id,
        "job_id": text["job"] or None,
        "run": int(text["run"]),
        "callback": text["endpoint"],
        "type": text["type"],
        "status": text["status"],
        "attempts": int(text["attempts"]),
        "code": _public_attempt(failed)["code"] if failed else None,
        "created_at": rfc3339(int(text["created"])),
        "next_attempt_at": rfc3339(int(text["next_at"])) if text["status"] == "pending" else None,
        "ended_at": rfc3339(int(text.get("ended", "0"))),
    }
