"""Redis clients, configured alike in every process.

The clients do not retry: a script whose reply was lost may have run, so the caller must decide. The
exception is a pooled connection that was closed while idle, which a ping detects.
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

#: While redis-py 8.1 listens for maintenance notifications, it considers a connection that the
#: server has closed usable: the first command after a restart would fail.
_NO_MAINTENANCE_NOTIFICATIONS: Final = MaintNotificationsConfig(enabled=False)

#: What is raised when Redis is unreachable, loading, read-only or full.
REDIS_ERRORS = (RedisError, OSError)

_log = get_logger(__name__)


def async_client(
    url: str, *, max_connections: int, wait_seconds: float = REPLY_SECONDS
) -> aredis.Redis:
    """A client for the event loop.

    Parameters:
      url: `redis://`, `rediss://` (with `?ssl_cert_reqs=none` for self-signed certificates) or
        `unix://`.
      max_connections: The most connections; further callers wait for one.
      wait_seconds: How long a caller may wait for a connection.
    """
    pool = FairConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=wait_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=REPLY_SECONDS,
        health_check_interval=IDLE_CHECK_SECONDS,
        retry=AsyncRetry(NoBackoff(), 0),
        maint_notifications_config=_NO_MAINTENANCE_NOTIFICATIONS,
    )
    pool.connection_class = CANCELABLE_CONNECTIONS[pool.connection_class]
    return aredis.Redis.from_pool(pool)


def sync_client(
    url: str, *, max_connections: int, reply_seconds: float = REPLY_SECONDS
) -> redis.Redis:
    """A client for threads (the broker's consumers, the heartbeat).

    Parameters:
      url: As for `async_client`.
      max_connections: The most connections.
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
        maint_notifications_config=_NO_MAINTENANCE_NOTIFICATIONS,
    )
    return redis.Redis(connection_pool=pool)


def wait_for_redis(client: redis.Redis, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Block until Redis answers; logs a warning at first and then once a minute.

    Parameters:
      client: The client to try.
      stopping: Whether the process should stop; checked between attempts.

    Returns:
      Whether Redis answers; False if the process should stop instead.
    """
    started, delay, next_warning = time.monotonic(), 0.1, 0.0
    while not stopping():
        try:
            client.ping()
        except REDIS_ERRORS as error:
            waited = time.monotonic() - started
            if waited >= next_warning:
                _log.warning("waiting for redis", error=type(error).__name__)
                next_warning = waited + 60
            time.sleep(delay)
            delay = min(delay * 2, 2.0)
        else:
            return True
    return False
