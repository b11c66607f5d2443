"""Acknowledges messages in batches, off the event loop."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, cast

from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.errors import BrokerConnectionError
from dramatiq.worker import ConsumerThread

from actors.dramatiq_async.consumer import NotifiedConsumer
from service.logging.setup import get_logger

_THREADS: Final = 2
#: Messages per round trip: a larger script call would block Redis for too long.
_MAX_BATCH: Final = 100
_RETRY_SECONDS: Final = 1.0

_log = get_logger(__name__)


class AckBatcher:
    """Acknowledges processed messages on threads of its own, since each call may wait for Redis.

    The messages that end while one batch is on its way make up the next one.

    Parameters:
      broker: Its middleware is signalled.
      consumers: By queue; a message is acknowledged by the one that it came from.
    """

    def __init__(self, broker: Broker, consumers: Mapping[str, ConsumerThread]) -> None:
        self._broker = broker
        self._consumers = consumers
        self._pending: SimpleQueue[MessageProxy | None] = SimpleQueue()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"ack-{number}", daemon=True)
            for number in range(_THREADS)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def add(self, message: MessageProxy) -> None:
        """Acknowledge a message as soon as Redis answers."""
        self._pending.put(message)

    def close(self, seconds: float) -> None:
        """Try everything once more and drop what fails: another worker will find its job done.

        Parameters:
          seconds: The time limit.
        """
        deadline = time.monotonic() + seconds
        self._closing.set()
        for _ in self._threads:
            self._pending.put(None)
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            for queue, messages in batch.items():
                while not self._try_ack(queue, messages):
                    if self._closing.is_set():
                        return
                    self._closing.wait(_RETRY_SECONDS)

    def _next_batch(self) -> tuple[Mapping[str, list[MessageProxy]], bool]:
        """Wait for messages; return them by queue, and whether there will be more."""
        batch: defaultdict[str, list[MessageProxy]] = defaultdict(list)
        with suppress(Empty):
            message = self._pending.get()
            for _ in range(_MAX_BATCH):
                if message is None:
                    return batch, False
                batch[message.queue_name].append(message)
                message = self._pending.get_nowait()
            self._pending.put(message)
        return batch, True

    def _try_ack(self, queue: str, messages: Sequence[MessageProxy]) -> bool:
        try:
            for message in messages:
                self._broker.emit_before(_signal(message), message)
            cast(NotifiedConsumer, self._consumers[queue].consumer).ack_all(messages)
            for message in messages:
                self._broker.emit_after(_signal(message), message)
                # Its traceback would keep the task's frames alive.
                message.clear_exception()
        except BrokerConnectionError:
            return False
        except Exception as error:  # noqa: BLE001 - later batches are acknowledged all the same
            _log.error("failed to acknowledge messages", exc_info=error)
        return True


def _signal(message: MessageProxy) -> str:
    """What middleware is told of a message, as by Dramatiq's worker."""
    return "nack" if message.failed else "ack"
