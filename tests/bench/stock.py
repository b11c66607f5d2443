"""What a stock Dramatiq worker runs beside ours: `dramatiq tests.bench.stock`, as in its guide."""

from __future__ import annotations

import os
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from tests.bench.stock_worker import BEGUN, NAPS, OURS, QUEUES

URL = os.environ["REDIS_URL"]
dramatiq.set_broker(RedisBroker(url=URL))  # type: ignore[no-untyped-call]
_client = redis.Redis.from_url(URL)


def begin() -> None:
    """Record when this began, by the machine's monotonic clock."""
    _client.rpush(BEGUN, time.monotonic())


def nap(seconds: float) -> None:
    """Wait as a call to a slow server does, and record the end."""
    time.sleep(seconds)
    _client.rpush(BEGUN, time.monotonic())


for _name in (*QUEUES, *OURS):
    dramatiq.actor(actor_name=_name, queue_name=_name)(begin)
dramatiq.actor(actor_name=NAPS, queue_name=NAPS)(nap)
