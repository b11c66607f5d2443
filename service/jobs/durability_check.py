"""Says at boot that nothing can be confirmed: the process goes on, and refuses meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import redis.asyncio as aredis
from redis.exceptions import ResponseError

from service.config.settings import Durability
from service.jobs.lua.durability import Command, is_confirmed
from service.logging.setup import get_logger
from service.redis.client import REDIS_ERRORS

#: On a connection that has written nothing these reply at once: WAIT with the number of replicas.
_QUESTIONS: Final[Mapping[Durability, Command]] = {
    "replica": ("WAIT", 0, 1),
    "fsync": ("WAITAOF", 1, 0, 1),
}

_log = get_logger(__name__)


async def warn_unless_durable(client: aredis.Redis, durability: Durability) -> None:
    """Log one line if no replica is connected, or nothing is written to disk.

    A store that does not answer is logged elsewhere.

    Parameters:
      client: The event loop's Redis client.
      durability: What the process promises.
    """
    question = _QUESTIONS.get(durability)
    if question is None:
        return
    try:
        reply: Any = await cast("Any", client).execute_command(*question)
    except ResponseError as error:
        reply = error
    except REDIS_ERRORS:
        return
    if not is_confirmed(reply):
        detail = str(reply) if isinstance(reply, Exception) else "no replica is connected"
        _log.warning(
            "nothing will be acknowledged or sent: DURABILITY cannot be kept",
            durability=durability,
            detail=detail,
        )
