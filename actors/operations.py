"""Drives operations on many jobs or events, a step at a time.

Each step is one script that does what is next and records it, so that it does not matter which
worker makes it, or how many do. A worker that dies leaves the rest to the next: a heartbeat wakes
one when an operation has not gone on for a lease (lua/lib/operations.lua).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from actors.runtime import Runtime
from service.logging.setup import get_logger
from service.operations.model import OTHER_RULES, Operation
from service.redis.client import REDIS_ERRORS

_log = get_logger(__name__)


async def run_operation(runtime: Runtime, operation_id: str) -> None:
    """Make an operation's steps until it has ended, or the store fails: then it goes on later."""
    operation = await runtime.operations.get(operation_id)
    if operation is None or operation.status != "running":
        return
    if operation.action == "replay" and not runtime.replay_steps.may_drive(operation):
        _log.warning("operation left to workers with its rules", id=operation_id)
        await runtime.operations.block(operation_id, OTHER_RULES)
        return
    try:
        await _step_until_done(_steps_of(runtime, operation))
    except REDIS_ERRORS as error:
        _log.warning("operation left to a heartbeat", id=operation_id, error=type(error).__name__)
        return
    _log.info("operation ended", id=operation_id, action=operation.action, items=operation.total)


def _steps_of(runtime: Runtime, operation: Operation) -> Callable[[], Awaitable[int]]:
    """One step of an operation, which returns how many items are left."""
    if operation.action != "replay":
        return lambda: runtime.operations.advance(operation.id)
    done = operation.done

    async def replay_some() -> int:
        nonlocal done
        left, done = await runtime.replay_steps.advance(operation, done)
        return left

    return replay_some


async def _step_until_done(step: Callable[[], Awaitable[int]]) -> None:
    """Make steps until nothing is left; between two, the store has as long for others."""
    while True:
        began_at = time.monotonic()
        if not await step():
            return
        await asyncio.sleep(time.monotonic() - began_at)
