"""Keeps operations: planned by a request, confirmed by another, driven by a worker."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple, cast

import orjson
import redis.asyncio as aredis

from service.encryption.keys import derive_each
from service.jobs.audit_log import Requester
from service.jobs.lua.advance_operation import advance_operation
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.cancel_operation import StopReply, cancel_operation
from service.jobs.lua.judge_jobs import JobAction, Judgment, judge_jobs
from service.jobs.lua.plan_operation import plan_operation
from service.jobs.lua.runner import Scripts
from service.jobs.lua.start_operation import StartReply, start_operation
from service.jobs.model import derived_id
from service.jobs.queries import Page, newest_members
from service.operations.model import Action, ItemResult, Operation
from service.redis.decoding import decode_fields

#: How long a plan can be confirmed.
PLAN_MS: Final = 10 * 60 * 1000
#: The most items of an operation.
MAX_ITEMS: Final = 10_000
#: Jobs that one step changes: the store serves nobody else meanwhile, and the dearest, those that
#: are canceled and have a callback, take a fifth of a millisecond each.
STEP: Final = 25
#: Jobs judged by one script call.
JUDGED_AT_ONCE: Final = 100

_PURPOSE: Final = b"heliograph/operations/v1"
#: What a filter may say of persons is not kept with the operation.
_PERSONAL: Final = ("to", "metadata")
_NOT_KEPT: Final = "(not kept)"


class TooMany(Exception):
    """More jobs or events match than one operation takes."""


@dataclass(frozen=True)
class Request:
    """What an operation is asked to do.

    Parameters:
      action: What to do.
      filter: To which jobs or events, as the caller said it.
      rule: The only rule to run; empty for all.
      rules: Digest of the rules that it is planned with; empty where none run.
    """

    action: Action
    filter: dict[str, Any]
    rule: str = ""
    rules: str = ""


class Plan(NamedTuple):
    """A plan that is kept.

    Parameters:
      token: What confirms it, and the id of its operation then.
      expires_ms: Until when it can be confirmed, Unix milliseconds.
    """

    token: str
    expires_ms: int


class Operations:
    """Plans, begins and shows operations.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
      secret_keys: The parts of `SECRET_KEY`: what was asked for is compared by a keyed hash,
        because a filter may name a person.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, secret_keys: Sequence[str]
    ) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._key = derive_each(",".join(secret_keys), _PURPOSE)[0]

    async def judge(self, action: JobAction, ids: Sequence[str]) -> list[Judgment]:
        """Tell what an action would do to jobs now."""
        found: list[Judgment] = []
        for at in range(0, len(ids), JUDGED_AT_ONCE):
            call = judge_jobs(action, *ids[at : at + JUDGED_AT_ONCE])
            some: list[Judgment] = await self._scripts.run(call)
            found += some
        return found

    async def plan(self, request: Request, requester: Requester, items: Sequence[str]) -> Plan:
        """Keep a plan for PLAN_MS.

        Parameters:
          request: What to do.
          requester: Who may confirm it.
          items: Job ids, or `source:id` of events; at most MAX_ITEMS.
        """
        token = derived_id("op", uuid.uuid4().hex)
        fields = {
            "action": request.action,
            "filter": orjson.dumps(_without_persons(request.filter)).decode(),
            "request": self._digest(request),
            "caller": requester.by,
            "rule": request.rule,
            "rules": request.rules,
        }
        return Plan(
            token,
            await self._scripts.run(
                plan_operation(token, PLAN_MS, orjson.dumps(fields).decode(), *items)
            ),
        )

    async def start(
        self, token: str, request: Request, requester: Requester, reason: str
    ) -> StartReply:
        """Begin a planned operation; one that was begun before goes on as it does."""
        digest, (by, address) = self._digest(request), requester
        return await self._scripts.run(start_operation(token, by, digest, by, address, reason))

    async def cancel(self, operation_id: str, requester: Requester) -> StopReply:
        """Stop an operation; what it has done stays done."""
        return await self._scripts.run(cancel_operation(operation_id, *requester))

    async def advance(self, operation_id: str) -> int:
        """Do the next jobs of an operation; returns how many are left."""
        return await self._scripts.run(advance_operation(operation_id, STEP))

    async def block(self, operation_id: str, why: str) -> None:
        """Say why this process does not go on with an operation; whoever does takes it back."""
        await self._client.hset(f"hg:op:{operation_id}", "blocked", why)

    async def get(self, operation_id: str) -> Operation | None:
        """An operation that was begun; None if there is none, or it is no longer kept."""
        return (await self._read([operation_id]))[0]

    async def show(self, operation_id: str) -> dict[str, Any] | None:
        """An operation as the API shows it, with the first items that were left as they are."""
        operation = await self.get(operation_id)
        if operation is None:
            return None
        async with self._client.pipeline(transaction=False) as pipe:
            for place in operation.problems:
                pipe.lindex(f"hg:opitems:{operation_id}", place)
                pipe.lindex(f"hg:opresults:{operation_id}", place)
            found = await cast("Awaitable[list[Any]]", pipe.execute())
        pairs = zip(found[::2], found[1::2], strict=True)
        return operation.public([ItemResult.of(item, line) for item, line in pairs if item])

    async def page(self, *, cursor: int | None, limit: int) -> Page:
        """A page of operations, newest first; parameters as `JobQueries.jobs`."""
        batch = await newest_members(self._client, "hg:ops", cursor, limit)
        found = await self._read([member.decode() for member, _ in batch])
        next_cursor = batch[-1][1] if len(batch) == limit else None
        return Page([each.public() for each in found if each is not None], next_cursor)

    async def results(self, operation_id: str, *, cursor: int | None, limit: int) -> Page:
        """A page of what became of each item, in the order in which they are done.

        Parameters:
          cursor: How many items to skip; None for none.
          limit: The most items on the page.
        """
        first = cursor or 0
        last = first + limit - 1
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.lrange(f"hg:opitems:{operation_id}", first, last)
            pipe.lrange(f"hg:opresults:{operation_id}", first, last)
            items, lines = await cast("Awaitable[list[list[bytes]]]", pipe.execute())
        found = [ItemResult.of(item, line) for item, line in zip(items, lines, strict=False)]
        return Page(
            [result.public() for result in found], first + limit if len(found) == limit else None
        )

    async def _read(self, ids: Sequence[str]) -> list[Operation | None]:
        async with self._client.pipeline(transaction=False) as pipe:
            for operation_id in ids:
                pipe.hgetall(f"hg:op:{operation_id}")
                pipe.llen(f"hg:opresults:{operation_id}")
            found = await cast("Awaitable[list[Any]]", pipe.execute())
        return [
            _begun(operation_id, decode_fields(fields), done)
            for operation_id, fields, done in zip(ids, found[::2], found[1::2], strict=True)
        ]

    def _digest(self, request: Request) -> str:
        text = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
        return blake2b(text, digest_size=16, key=self._key).hexdigest()


def _begun(operation_id: str, fields: dict[str, str], done: int) -> Operation | None:
    if fields.get("status", "planned") == "planned":
        return None
    return Operation.of(operation_id, fields, done)


def _without_persons(filter_: dict[str, Any]) -> dict[str, Any]:
    return {name: _NOT_KEPT if name in _PERSONAL else value for name, value in filter_.items()}
