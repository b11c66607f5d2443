"""Fetches messages when notified, and acknowledges many at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.common import compute_backoff
from dramatiq.errors import ConnectionClosed, DecodeError

from actors.dramatiq_async.orphan_recovery import requeue_orphaned
from actors.dramatiq_async.queue_notifier import QueueNotifier
from service.logging.setup import get_logger
from service.redis.client import REDIS_ERRORS

#: How often an idle consumer fetches without a notification, for the messages of dead workers;
#: from delay queues less often, since Heliograph itself delays nothing on the broker.
IDLE_FETCH_SECONDS: Final = 20.0
IDLE_FETCH_DELAYED_SECONDS: Final = 50.0
#: How often a consumer looks for messages that were fetched but never received.
RECOVERY_SECONDS: Final = 60.0
#: The longest delay that Dramatiq's Redis broker allows.
MAX_DELAY_MS: Final = 7 * 24 * 3600 * 1000

_log = get_logger(__name__)


class NotifyingBroker(Protocol):
    """What a consumer needs of its broker besides what the stock consumer uses."""

    notifier: QueueNotifier
    in_flight: Mapping[str, set[bytes]]


class NotifiedConsumer(_RedisConsumer):
    """The stock consumer, changed so that no message can occupy a slot forever.

    Unusable messages are dropped, and messages that were fetched but never received are fetched
    again. The ledger keeps what is due later, and enqueues again whatever is lost; so only messages
    on a delay queue are delayed, which others put there. While the process is to end, nothing is
    fetched. While nothing is notified or acknowledged, no command is sent.
    """

    def __init__(
        self, broker: NotifyingBroker, queue_name: str, prefetch: int, timeout: int
    ) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._is_delay_queue = queue_name.endswith(".DQ")
        self._in_flight = broker.in_flight[queue_name]
        if self._is_delay_queue:
            # The thread has dropped those that the consumer before this one had received.
            self._in_flight.clear()
        self._notifier = broker.notifier
        self._notified = broker.notifier.event_for(queue_name)
        self._fetch_at = 0.0
        # At once: the consumer before this one may have missed the reply to a fetch.
        self._recover_at = time.monotonic()

    @property
    def outstanding_message_count(self) -> int:
        """Messages that count against the prefetch."""
        return len(self._in_flight) + len(self.message_cache)

    def ack(self, message: MessageProxy) -> None:
        """Remove one message for good, as `ack_all`."""
        self.ack_all([message])

    def ack_all(self, messages: Sequence[MessageProxy]) -> None:
        """Remove messages for good; may be repeated.

        Raises:
          dramatiq.errors.ConnectionClosed: Redis does not answer.
        """
        message_ids = [_id_of(message) for message in messages]
        try:
            self.broker.ack_all(self.queue_name, message_ids)
        except REDIS_ERRORS as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        self._in_flight.difference_update(message_ids)
        self._notified.set()  # there is room for others

    def nack(self, message: MessageProxy) -> None:
        """Remove one message: there are no dead letters, since the ledger enqueues again."""
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Return messages that were not started to their queue, if Redis answers."""
        unstarted = list(messages)
        try:
            super().requeue(unstarted)  # type: ignore[no-untyped-call]
        except REDIS_ERRORS as error:
            _log.warning("failed to requeue messages", error=type(error).__name__)
        self._in_flight.difference_update(map(_id_of, unstarted))

    def __next__(self) -> MessageProxy | None:
        """The next message; None when there was none for a moment.

        Raises:
          dramatiq.errors.ConnectionClosed: Redis does not answer.
        """
        try:
            if not self.message_cache and self._fetch_is_due():
                self._fetch()
        except REDIS_ERRORS as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        if not self.message_cache:
            self._wait()
            return None
        return self._receive(self.message_cache.pop(0))

    def _fetch_is_due(self) -> bool:
        return not self.broker.stopping() and (
            self._notified.is_set() or time.monotonic() >= self._fetch_at
        )

    def _wait(self) -> None:
        """Wait for a notification, or until the thread has to check whether it is to end."""
        seconds: float = self.timeout / 1000
        if self.broker.stopping():
            self._notified.clear()  # no fetch will: the thread would spin until it ends
        else:
            seconds = min(max(self._fetch_at - time.monotonic(), 0.001), seconds)
        self._notified.wait(seconds)

    def _fetch(self) -> None:
        # Cleared first: a notification during this fetch is for the next one.
        self._notified.clear()
        if time.monotonic() >= self._recover_at:
            self._recover_at = time.monotonic() + RECOVERY_SECONDS
            self._requeue_orphaned()
            self._recover_unreceived()
        room = self.prefetch - self.outstanding_message_count
        if room > 0:
            self.message_cache = self.broker.do_fetch(self.queue_name, room)
        self._fetch_at = self._next_fetch_at()

    def _next_fetch_at(self) -> float:
        if self.message_cache:
            self.misses = 0
            return 0.0  # there may be more
        if self._notifier.listening:
            return time.monotonic() + (
                IDLE_FETCH_DELAYED_SECONDS if self._is_delay_queue else IDLE_FETCH_SECONDS
            )
        self.misses, pause_ms = compute_backoff(self.misses, max_backoff=self.timeout)
        pause_seconds: float = pause_ms / 1000
        return time.monotonic() + pause_seconds

    def _receive(self, data: bytes | None) -> MessageProxy | None:
        message = self._decode(data)
        if message is None:
            # A fetch returns the data without the id: the recovery finds that, and drops it.
            self._recover_at = time.monotonic()
            self._fetch_at = 0.0
            return None
        self._in_flight.add(_id_of(message))
        return MessageProxy(message)

    def _decode(self, data: bytes | None) -> Message[Any] | None:
        try:
            message = Message.decode(data or b"")
        except DecodeError:
            return None
        if not _is_well_formed(message) or message.actor_name not in self.broker.actors:
            return None
        eta = message.options.pop("eta", None)
        if self._is_delay_queue:
            message.options["eta"] = _usable_eta(eta)
        return message.copy(queue_name=self.queue_name)

    def _requeue_orphaned(self) -> None:
        broker = self.broker
        queues = {*broker.get_declared_queues(), *broker.get_declared_delay_queues()}
        dead_since_ms = round(time.time() * 1000) - broker.heartbeat_timeout
        requeue_orphaned(
            broker.client,
            broker.namespace,
            broker.broker_id,
            self.queue_name,
            queues,
            dead_since_ms,
        )

    def _recover_unreceived(self) -> None:
        """Requeue what was fetched but never received; drop what was received and is unusable."""
        base = f"{self.broker.namespace}:"
        fetched = self.broker.client.smembers(
            f"{base}__acks__.{self.broker.broker_id}.{self.queue_name}"
        )
        unreceived = [message_id for message_id in fetched if message_id not in self._in_flight]
        if not unreceived:
            return
        stored = self.broker.client.hmget(f"{base}{self.queue_name}.msgs", unreceived)
        usable = {
            message_id
            for message_id, data in zip(unreceived, stored, strict=True)
            if (message := self._decode(data)) and _id_of(message) == message_id
        }
        if usable:
            self.broker.do_requeue(self.queue_name, *usable)
        if unusable := set(unreceived) - usable:
            self.broker.ack_all(self.queue_name, list(unusable))
        _log.warning(
            "recovered lost messages",
            queue=self.queue_name,
            requeued=len(usable),
            dropped=len(unreceived) - len(usable),
        )


def _is_well_formed(message: Message[Any]) -> bool:
    """Whether a decoded message has the types that Dramatiq takes for granted."""
    if not isinstance(message.options, dict) or not isinstance(message.kwargs, dict):
        return False
    texts = (message.options.get("redis_message_id"), message.actor_name, message.message_id)
    return all(isinstance(text, str) and text.isascii() for text in texts)


def _usable_eta(eta: Any) -> float:
    """When (unix ms) a message is to leave its delay queue: now if its `eta` is odd."""
    now_ms = round(time.time() * 1000)
    is_usable = isinstance(eta, int | float) and eta <= now_ms + MAX_DELAY_MS
    return eta if is_usable else now_ms


def _id_of(message: Message[Any] | MessageProxy) -> bytes:
    message_id: str = message.options["redis_message_id"]
    return message_id.encode()
