"""The broker and its actors: one list of middleware and one of actors, nothing implicit."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import compute_backoff
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import CurrentMessage, Middleware
from periodiq import PeriodiqMiddleware, cron

from actors import attempt, callbacks, lookups, periodic, walks
from actors.doorbell import Doorbell
from actors.runtime import Runtime
from service.jobs.wakeups import CALENDAR, COMMENT, DELIVERY, DM, LOOKUP, NAMESPACE, WALK, Address
from service.logs import get_logger
from service.settings import Settings
from service.store import Unavailable, sync_client, wait_for_redis

#: Two consumers a queue, the acknowledgements and the doorbell share these; more wait for one.
MAX_CONNECTIONS: Final = 5
#: How often an idle consumer looks although nobody rang: for what others than us enqueue, and,
#: where we delay nothing, for as good as nothing.
UNRUNG_SECONDS: Final = 10.0
UNRUNG_DELAYED_SECONDS: Final = 30.0
#: A tick that waited longer than this in the queue is dropped: another follows.
TICK_SKIP_SECONDS: Final = 50

#: How often a consumer looks for messages that were fetched and did not arrive.
STRAYS_SECONDS: Final = 60.0

_log = get_logger(__name__)


class PatientBroker(RedisBroker):
    """A RedisBroker whose consumers wait for Redis: one of them asks, the others wait for it.

    The stock one tries again every second, in every consumer, and says so each time.

    Parameters:
      stopping: Whether the process is to end instead of waiting.
      options: What a RedisBroker takes.
    """

    def __init__(self, stopping: Callable[[], bool], **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.stopping = stopping
        #: By queue, the ids of messages that arrived and are not acknowledged yet.
        self.arrived: defaultdict[str, set[bytes]] = defaultdict(set)
        self.doorbell = Doorbell(self.client)
        self._gate = threading.Lock()

    def close(self) -> None:
        """Stop listening, and close every connection."""
        self.doorbell.stop()
        super().close()

    @property
    def consumer_class(self) -> type[PatientConsumer]:
        """What `consume` makes."""
        return PatientConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Make a consumer as soon as Redis answers, or as soon as there is nothing to fetch for.

        Parameters:
          queue_name: The queue.
          prefetch: The most messages in flight.
          timeout: How long an idle consumer may sleep, in ms.
        """
        with self._gate:
            wait_for_redis(self.client, self.stopping)
            if not self.doorbell.ident:
                self.doorbell.start()
        return super().consume(queue_name, prefetch, timeout)


class PatientConsumer(_RedisConsumer):
    """The stock consumer, but for messages that would take a place for ever.

    What cannot be used is dropped, what was fetched but did not arrive is fetched again, and
    nothing is delayed here: what is due later is in the ledger, which rings again for anything
    that is lost. Nothing is fetched for a process that is to end. While nobody rings and nothing is
    acknowledged, nothing is asked for.
    """

    def __init__(self, broker: PatientBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._arrived = broker.arrived[queue_name]
        self._doorbell = broker.doorbell
        self._rung = broker.doorbell.at(queue_name)
        self._look_at = 0.0
        # At once: a consumer before this one may have missed the reply to a fetch.
        self._strays_at = time.monotonic()

    @property
    def outstanding_message_count(self) -> int:
        """Messages that count against the prefetch."""
        return len(self._arrived) + len(self.message_cache)

    def ack(self, message: MessageProxy) -> None:
        """Remove a message for good; may be repeated.

        Raises:
          dramatiq.errors.ConnectionClosed: Redis does not answer.
        """
        message_id = _id_of(message)
        try:
            self.broker.do_ack(self.queue_name, message_id)
        except Unavailable as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        self._arrived.discard(message_id)
        self._rung.set()  # there is room for another

    def nack(self, message: MessageProxy) -> None:
        """As `ack`: there are no dead letters where the ledger rings again."""
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back what was not begun, if Redis answers."""
        unbegun = list(messages)
        try:
            super().requeue(unbegun)  # type: ignore[no-untyped-call]
        except Unavailable as error:
            _log.warning("messages were not handed back", cause=type(error).__name__)
        self._arrived.difference_update(map(_id_of, unbegun))

    def __next__(self) -> MessageProxy | None:
        """The next message; None when there was none for a moment.

        Raises:
          dramatiq.errors.ConnectionClosed: Redis does not answer.
        """
        try:
            if not self.message_cache and self._is_time():
                self._fetch()
        except Unavailable as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        if not self.message_cache:
            self._rung.wait(self._pause_seconds())
            return None
        return self._arrival(self.message_cache.pop(0))

    def _is_time(self) -> bool:
        return not self.broker.stopping() and (
            self._rung.is_set() or time.monotonic() >= self._look_at
        )

    def _pause_seconds(self) -> float:
        """How long to wait for a ring before the thread sees whether it is to end."""
        longest: float = self.timeout / 1000
        return min(max(self._look_at - time.monotonic(), 0.001), longest)

    def _fetch(self) -> None:
        # Cleared first: a ring that comes while this looks is for the next look.
        self._rung.clear()
        if time.monotonic() >= self._strays_at:
            self._settle_strays()
        room = self.prefetch - self.outstanding_message_count
        if room > 0:
            self.message_cache = self.broker.do_fetch(self.queue_name, room)
        self._look_at = self._next_look()

    def _next_look(self) -> float:
        if self.message_cache:
            self.misses = 0
            return 0.0  # there may be more
        if self._doorbell.listening:
            delayed = self.queue_name.endswith(".DQ")
            return time.monotonic() + (UNRUNG_DELAYED_SECONDS if delayed else UNRUNG_SECONDS)
        self.misses, pause_ms = compute_backoff(self.misses, max_backoff=self.timeout)
        pause_seconds: float = pause_ms / 1000
        return time.monotonic() + pause_seconds

    def _arrival(self, data: bytes | None) -> MessageProxy | None:
        message = self._usable(data)
        if message is None:
            # Only its data came, not its id: that is found among the strays.
            self._strays_at = time.monotonic()
            self._look_at = 0.0
            return None
        self._arrived.add(_id_of(message))
        return MessageProxy(message)

    def _usable(self, data: bytes | None) -> Message[Any] | None:
        try:
            message = Message.decode(data or b"")
        except DecodeError:
            return None
        if not _sound(message) or message.actor_name not in self.broker.actors:
            return None
        message.options.pop("eta", None)
        return message.copy(queue_name=self.queue_name)

    def _settle_strays(self) -> None:
        """Requeue what was fetched and did not arrive; drop what did and cannot be used."""
        self._strays_at = time.monotonic() + STRAYS_SECONDS
        base = f"{self.broker.namespace}:"
        fetched = self.broker.client.smembers(
            f"{base}__acks__.{self.broker.broker_id}.{self.queue_name}"
        )
        strays = [each for each in fetched if each not in self._arrived]
        if not strays:
            return
        stored = self.broker.client.hmget(f"{base}{self.queue_name}.msgs", strays)
        usable = {
            stray
            for stray, data in zip(strays, stored, strict=True)
            if (message := self._usable(data)) and _id_of(message) == stray
        }
        if usable:
            self.broker.do_requeue(self.queue_name, *usable)
        for unusable in set(strays) - usable:
            self.broker.do_ack(self.queue_name, unusable)
        _log.warning(
            "messages that did not arrive were requeued, unusable ones dropped",
            queue=self.queue_name,
            requeued=len(usable),
            dropped=len(strays) - len(usable),
        )


def _sound(message: Message[Any]) -> bool:
    """Whether a decoded message has the types that Dramatiq takes for granted."""
    if not isinstance(message.options, dict) or not isinstance(message.kwargs, dict):
        return False
    texts = (message.options.get("redis_message_id"), message.actor_name, message.message_id)
    return all(isinstance(text, str) and text.isascii() for text in texts)


def _id_of(message: Message[Any] | MessageProxy) -> bytes:
    message_id: str = message.options["redis_message_id"]
    return message_id.encode()


def make_broker(
    settings: Settings,
    middleware: Sequence[Middleware] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> PatientBroker:
    """A broker over the ledger's Redis, in a key space of its own.

    Parameters:
      settings: Where Redis is.
      middleware: What the process needs besides, in order: what starts the loop comes first.
      stopping: Whether the process is to end.
    """
    return PatientBroker(
        stopping,
        client=sync_client(settings.redis_url, max_connections=MAX_CONNECTIONS),
        namespace=NAMESPACE,
        middleware=[*middleware, PeriodiqMiddleware(TICK_SKIP_SECONDS), CurrentMessage()],
    )


def declare_actors(broker: dramatiq.Broker, runtime: Callable[[], Runtime]) -> None:
    """Declare every actor.

    Parameters:
      broker: Where.
      runtime: Gives the open resources when a message comes.
    """

    async def send_dm(job_id: str) -> None:
        await attempt.perform(runtime(), job_id)

    async def post_comment(job_id: str) -> None:
        await attempt.perform(runtime(), job_id)

    async def look_up(job_id: str) -> None:
        await lookups.look_up(runtime(), job_id)

    async def walk_on(job_id: str) -> None:
        await walks.walk_on(runtime(), job_id)

    async def deliver_callback(delivery_id: str) -> None:
        await callbacks.deliver(runtime(), delivery_id)

    async def retention() -> None:
        await periodic.retention(runtime())

    async def sweep() -> None:
        await periodic.sweep(runtime())

    _declare(broker, send_dm, DM)
    _declare(broker, post_comment, COMMENT)
    _declare(broker, look_up, LOOKUP)
    _declare(broker, walk_on, WALK)
    _declare(broker, deliver_callback, DELIVERY)
    _declare(broker, retention, Address(CALENDAR, "retention"), periodic=cron("*/10 * * * *"))
    _declare(broker, sweep, Address(CALENDAR, "sweep"), periodic=cron("* * * * *"))


def _declare(broker: dramatiq.Broker, fn: Any, address: Address, **options: Any) -> None:
    declare = dramatiq.actor(
        broker=broker, actor_name=address.actor, queue_name=address.queue, **options
    )
    declare(fn)
