"""A stock Dramatiq worker in a process of its own, and messages for it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from deploy.local.procfile import Process
from deploy.local.valkey import Valkey
from deploy.local.wait import until

#: Enough that each has been idle for seconds when its turn comes.
QUEUES: Final = tuple(f"idle-{number}" for number in range(8))
NAPS: Final = "naps"
#: For a worker with as many queues as ours, all of them empty.
OURS: Final = ("actions", "photos", "reports", "callbacks", "calendar")
#: The list to which the actors write their times.
BEGUN: Final = "begun"
THREADS: Final = 8


class StockWorker:
    """The worker and a store of its own, as a context manager.

    Parameters:
      directory: For its log and its store.
      queues: Which of `tests.bench.stock`'s queues it works on.
    """

    def __init__(self, directory: Path, queues: Sequence[str]) -> None:
        self._directory = directory
        self._queues = " ".join(queues)
        self._store = Valkey(directory / "store")

    def __enter__(self) -> Self:
        """Start it and wait until it works."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._store.start()
        self.url = self._store.url
        self._client = redis.Redis.from_url(self.url)
        self._broker = RedisBroker(client=self._client)  # type: ignore[no-untyped-call]
        command = (
            f"dramatiq tests.bench.stock --processes 1 --threads {THREADS} --queues {self._queues}"
        )
        environ = {"PATH": os.environ["PATH"], "REDIS_URL": self.url}
        self._process = Process("stock", command, environ, self._directory / "log")
        until(self._is_ready, what="the stock worker")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop both."""
        self._process.kill()
        self._client.close()
        self._store.__exit__(kind, error, trace)

    def pick_up_seconds(self, queue: str) -> float:
        """The seconds from before the `.send` of a message to the start of its actor."""
        sent = time.monotonic()
        self._send(queue)
        return self._ends(1)[0] - sent

    def naps_seconds(self, count: int, seconds: float) -> float:
        """The seconds from before the `.send` of so many naps to the end of the last."""
        sent = time.monotonic()
        for _ in range(count):
            self._send(NAPS, seconds)
        return max(self._ends(count)) - sent

    def _send(self, queue: str, *args: Any) -> None:
        message: Message[Any] = Message(
            queue_name=queue, actor_name=queue, args=args, kwargs={}, options={}
        )
        self._broker.enqueue(message)  # what `.send` does

    def _ends(self, count: int) -> list[float]:
        until(lambda: self._client.llen(BEGUN) == count, 60, "the stock worker's work")
        ends = [float(each) for each in self._client.lrange(BEGUN, 0, -1)]
        self._client.delete(BEGUN)
        return ends

    def _is_ready(self) -> bool:
        return "ready for action" in (self._directory / "log").read_text()
