"""Connections to Redis, made one way everywhere.

No retry hides inside the clients: a script whose reply was lost may have run, so whoever calls
decides. A pooled connection that went stale while idle is the one exception, found by a ping.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from service.logging.setup import get_logger
from service.redis.pool import CANCELABLE_CONNECTIONS, FairConnectionPool

CONNECT_SECONDS: Final = 3.0
REPLY_SECONDS: Final = 5.0
#: Idle connections older than this are pinged before use.
IDLE_CHECK_SECONDS: Final = 15

#: While redis-py listens for maintenance it takes a connection that the server has closed for a
#: good one (8.1), so that the first command after a restart would fail.
_PLAIN: Final = MaintNotificationsConfig(enabled=False)

#: What a Redis that is gone, loading, read-only or full raises.
REDIS_ERRORS = (RedisError, OSError)

_log = get_logger(__name__)


def async_client(
    url: str, *, max_connections: int, wait_seconds: float = REPLY_SECONDS
) -> aredis.Redis:
    """A client for the event loop; callers beyond `max_connections` wait for one.

    Parameters:
      url: `redis://`, `rediss://` (with `?ssl_cert_reqs=none` for self-signed ones) or `unix://`.
      max_connections: The most sockets this process opens for it.
      wait_seconds: How long a caller may wait for one of them.
    """
    pool = FairConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=wait_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=REPLY_SECONDS,
        health_check_interval=IDLE_CHECK_SECONDS,
        retry=AsyncRetry(NoBackoff(), 0),
        maint_notifications_config=_PLAIN,
    )
    pool.connection_class = CANCELABLE_CONNECTIONS[pool.connection_class]
    return aredis.Redis.from_pool(pool)


def sync_client(
    url: str, *, max_connections: int, reply_seconds: float = REPLY_SECONDS
) -> redis.Redis:
    """A client for a thread (the broker's consumers, the pulse).

    Parameters:
      url: As for `async_client`.
      max_connections: The most sockets this process opens for it.
      reply_seconds: How long to wait for a connection or a reply, at most REPLY_SECONDS.
    """
    seconds = min(reply_seconds, REPLY_SECONDS)
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=seconds,
        socket_connect_timeout=min(CONNECT_SECONDS, seconds),
        socket_timeout=seconds,
        health_check_interval=IDLE_CHECK_SECONDS,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=_PLAIN,
    )
    return redis.Redis(connection_pool=pool)


def wait_for_redis(client: redis.Redis, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Block until Redis answers, saying so once and then once a minute.

    Parameters:
      client: The connection to try.
      stopping: Whether the process was told to end, asked between tries.

    Returns:
      Whether Redis answers; False when the process is to end instead.
    """
    started, pause, next_line = time.monotonic(), 0.1, 0.0
    while not stopping():
        try:
            client.ping()
        except REDIS_ERRORS as error:
            waited = time.monotonic() - started
            if waited >= next_line:
                _log.warning("waiting for redis", error=type(error).__name__)
                next_line = waited + 60
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
        else:
            return True
    return False
