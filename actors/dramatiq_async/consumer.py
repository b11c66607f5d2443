"""How messages are fetched and acknowledged: when somebody rang, and many at a time."""

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

#: How often an idle consumer looks although nobody rang: for what a dead worker had fetched, and,
#: where we delay nothing, for as good as nothing.
IDLE_FETCH_SECONDS: Final = 20.0
IDLE_FETCH_DELAYED_SECONDS: Final = 50.0

#: How often a consumer looks for messages that were fetched and did not arrive.
RECOVERY_SECONDS: Final = 60.0

_log = get_logger(__name__)


class NotifyingBroker(Protocol):
    """What a consumer needs of its broker besides what the stock consumer uses."""

    notifier: QueueNotifier
    in_flight: Mapping[str, set[bytes]]


class NotifiedConsumer(_RedisConsumer):
    """The stock consumer, but for messages that would take a place for ever.

    What cannot be used is dropped, what was fetched but did not arrive is fetched again, and
    nothing is delayed here: what is due later is in the ledger, which rings again for anything
    that is lost. Nothing is fetched for a process that is to end. While nobody rings and nothing is
    acknowledged, nothing is asked for.
    """

    def __init__(
        self, broker: NotifyingBroker, queue_name: str, prefetch: int, timeout: int
    ) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._in_flight = broker.in_flight[queue_name]
        self._notifier = broker.notifier
        self._notified = broker.notifier.event_for(queue_name)
        self._fetch_at = 0.0
        # At once: a consumer before this one may have missed the reply to a fetch.
        self._recover_at = time.monotonic()

    @property
    def outstanding_message_count(self) -> int:
        """Messages that count against the prefetch."""
        return len(self._in_flight) + len(self.message_cache)

    def ack(self, message: MessageProxy) -> None:
        """As `ack_all`, for one."""
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
        """As `ack`: there are no dead letters where the ledger rings again."""
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back what was not begun, if Redis answers."""
        unbegun = list(messages)
        try:
            super().requeue(unbegun)  # type: ignore[no-untyped-call]
        except REDIS_ERRORS as error:
            _log.warning("messages were not handed back", cause=type(error).__name__)
        self._in_flight.difference_update(map(_id_of, unbegun))

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
            self._notified.wait(self._wait_seconds())
            return None
        return self._accept(self.message_cache.pop(0))

    def _fetch_is_due(self) -> bool:
        return not self.broker.stopping() and (
            self._notified.is_set() or time.monotonic() >= self._fetch_at
        )

    def _wait_seconds(self) -> float:
        """How long to wait for a ring before the thread sees whether it is to end."""
        longest: float = self.timeout / 1000
        return min(max(self._fetch_at - time.monotonic(), 0.001), longest)

    def _fetch(self) -> None:
        # Cleared first: a ring that comes while this looks is for the next look.
        self._notified.clear()
        if time.monotonic() >= self._recover_at:
            self._recover()
        room = self.prefetch - self.outstanding_message_count
        if room > 0:
            self.message_cache = self.broker.do_fetch(self.queue_name, room)
        self._fetch_at = self._next_fetch_at()

    def _next_fetch_at(self) -> float:
        if self.message_cache:
            self.misses = 0
            return 0.0  # there may be more
        if self._notifier.listening:
            delayed = self.queue_name.endswith(".DQ")
            return time.monotonic() + (
                IDLE_FETCH_DELAYED_SECONDS if delayed else IDLE_FETCH_SECONDS
            )
        self.misses, pause_ms = compute_backoff(self.misses, max_backoff=self.timeout)
        pause_seconds: float = pause_ms / 1000
        return time.monotonic() + pause_seconds

    def _accept(self, data: bytes | None) -> MessageProxy | None:
        message = self._decode(data)
        if message is None:
            # Only its data came, not its id: that is found among the strays.
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
        message.options.pop("eta", None)
        return message.copy(queue_name=self.queue_name)

    def _requeue_orphaned(self) -> None:
        """Requeue what processes had fetched that died since."""
        queues = {*self.broker.get_declared_queues(), *self.broker.get_declared_delay_queues()}
        dead_since_ms = round(time.time() * 1000) - self.broker.heartbeat_timeout
        broker = self.broker
        requeue_orphaned(broker.client, broker.broker_id, self.queue_name, queues, dead_since_ms)

    def _recover(self) -> None:
        """Requeue what was fetched and did not arrive; drop what did and cannot be used."""
        self._recover_at = time.monotonic() + RECOVERY_SECONDS
        self._requeue_orphaned()
        base = f"{self.broker.namespace}:"
        fetched = self.broker.client.smembers(
            f"{base}__acks__.{self.broker.broker_id}.{self.queue_name}"
        )
        strays = [each for each in fetched if each not in self._in_flight]
        if not strays:
            return
        stored = self.broker.client.hmget(f"{base}{self.queue_name}.msgs", strays)
        usable = {
            stray
            for stray, data in zip(strays, stored, strict=True)
            if (message := self._decode(data)) and _id_of(message) == stray
        }
        if usable:
            self.broker.do_requeue(self.queue_name, *usable)
        if unusable := set(strays) - usable:
            self.broker.ack_all(self.queue_name, list(unusable))
        _log.warning(
            "messages that did not arrive were requeued, unusable ones dropped",
            queue=self.queue_name,
            requeued=len(usable),
            dropped=len(strays) - len(usable),
        )


def _is_well_formed(message: Message[Any]) -> bool:
    """Whether a decoded message has the types that Dramatiq takes for granted."""
    if not isinstance(message.options, dict) or not isinstance(message.kwargs, dict):
        return False
    texts = (message.options.get("redis_message_id"), message.actor_name, message.message_id)
    return all(isinstance(text, str) and text.isascii() for text in texts)


def _id_of(message: Message[Any] | MessageProxy) -> bytes:
    message_id: str = message.options["redis_message_id"]
    return message_id.encode()
