"""The heartbeat: a round trip a second that renews this process' leases and wakes what is due.

What is due between two beats gets a beat of its own, so that due times are met to the millisecond,
however long ago they were set.

It runs in a thread with a connection of its own, so that a blocked event loop does not lose the
leases of work that is alive. When a renewal is overdue, the work is canceled instead: fencing
protects Redis, not Instagram, so nothing may be sent under a lease that may have expired.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from service.jobs.high_water_mark import HighWaterMark
from service.jobs.ledger import PRUNE_BATCH
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE, create_deferred_jobs
from service.jobs.lua.heartbeat import HeartbeatReply, HistoryLoss, heartbeat
from service.jobs.lua.prune import prune
from service.jobs.lua.runner import SyncScripts
from service.logging.setup import get_logger
from service.redis.causes import words_of
from service.redis.client import REDIS_ERRORS, sync_client

INTERVAL_SECONDS: Final = 1.0
#: Work is canceled when this share of a lease has passed without a renewal.
OVERDUE_SHARE: Final = 0.6
#: However much is due, beats are at least this far apart.
MIN_INTERVAL_SECONDS: Final = 0.01
#: The most items of each kind that one beat handles, since Redis serves nobody else meanwhile;
#: when there are more, the next beat follows at once.
BEAT_BATCH: Final = 20
#: The most leases that one round trip renews; a worker may have a thousand.
RENEWED_AT_ONCE: Final = 200
PRUNE_SECONDS: Final = 60.0

_log = get_logger(__name__)


@dataclass
class Lease:
    """A claim that the heartbeat keeps alive.

    Parameters:
      id: The job or delivery.
      owner: The claim's owner.
      fence: The claim's fencing token.
      task: The task that works on it; canceled when the claim is lost.
      loop: The task's event loop.
      renewed_at: Monotonic time from before the last renewal, or the claim, was sent.
      duration_seconds: How long the lease lasts without a renewal.
      ending: Whether the end of the work is being recorded. The claim is gone as soon as Redis has
        that, and its reply to that tells whether the claim was still ours.
    """

    id: str
    owner: str
    fence: int
    task: asyncio.Task[Any]
    loop: asyncio.AbstractEventLoop
    renewed_at: float
    duration_seconds: float
    ending: bool = False

    def seconds_left(self) -> float:
        """For how long the claim is certainly ours."""
        return self.renewed_at + self.duration_seconds * OVERDUE_SHARE - time.monotonic()

    @property
    def is_valid(self) -> bool:
        """Whether the claim is certainly still ours."""
        return self.seconds_left() > 0

    def abandon(self) -> None:
        """Cancel the work, from any thread."""
        self.loop.call_soon_threadsafe(self.task.cancel)


class LeaseHeartbeat(threading.Thread):
    """Renews leases and wakes what is due.

    Parameters:
      url: The store.
      script_config: Leases and retention.
      mark: The process' high-water mark; by default, one of its own.
    """

    def __init__(
        self, url: str, script_config: ScriptConfig, mark: HighWaterMark | None = None
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._lease_seconds = script_config.lease / 1000
        # A beat that hangs must leave time to cancel what it could not renew.
        self._client = sync_client(url, max_connections=1, reply_seconds=self._lease_seconds * 0.3)
        self._scripts = SyncScripts(self._client, script_config)
        self._prune_at = time.monotonic() + PRUNE_SECONDS
        self._interval = min(INTERVAL_SECONDS, self._lease_seconds / 4)
        self._leases: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._redis_lost = False
        self._mark = mark or HighWaterMark("worker")
        self._known_epoch = 0
        self._durable: int | None = None

    @contextmanager
    def maintain(self, work_id: str, owner: str, fence: int, claimed_at: float) -> Iterator[Lease]:
        """Keep a claim alive while the current task works on it.

        Parameters:
          work_id: The job or delivery.
          owner: The claim's owner.
          fence: The claim's fencing token.
          claimed_at: Monotonic time from before the claim was sent.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - called from a task by contract
        loop = asyncio.get_running_loop()
        lease = Lease(work_id, owner, fence, task, loop, claimed_at, self._lease_seconds)
        with self._lock:
            self._leases[work_id] = lease
        try:
            yield lease
        finally:
            with self._lock:
                if self._leases.get(work_id) is lease:
                    del self._leases[work_id]

    def run(self) -> None:
        """Beat until stopped."""
        pause = self._interval
        while not self._stopped.wait(pause):
            pause = self._interval
            # Before the beat as well, which may hang for as long as a reply may take.
            self._abandon_overdue()
            try:
                pause = self._beat()
                self._prune()
                self._log_redis_state(None)
            except REDIS_ERRORS as error:
                self._log_redis_state(error)
            except Exception as error:  # noqa: BLE001 - every lease depends on this thread
                _log.error("heartbeat failed", exc_info=error)
            self._abandon_overdue()

    def stop(self) -> None:
        """Stop beating and close the connection."""
        self._stopped.set()
        if self.is_alive():
            self.join()
        self._withdraw_mark()
        self._client.close()

    def _is_durable(self) -> int:
        """Whether the store has each command on disk before it replies; 0 if it does not say."""
        try:
            settings = self._client.config_get("append*")
        except ResponseError:
            return 0
        return int((settings["appendonly"], settings["appendfsync"]) == ("yes", "always"))

    def _withdraw_mark(self) -> None:
        """Say that this process has stopped in order: the store can lose nothing of it now."""
        if self._redis_lost:
            return
        try:
            self._client.hset("hg:marks", self._mark.process, self._mark.withdrawn)
        except REDIS_ERRORS:
            _log.debug("mark not withdrawn")

    def _log_redis_state(self, error: Exception | None) -> None:
        """Log once that Redis is lost, and once that it is back."""
        if error is not None and not self._redis_lost:
            _log.warning(
                "heartbeat failing: redis error",
                error=type(error).__name__,
                detail=words_of(error),
            )
        elif error is None and self._redis_lost:
            _log.info("heartbeat resumed: redis available again")
        self._redis_lost = error is not None

    def _prune(self) -> None:
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            # The periodic retention prunes as well; here it continues when Redis is too short of
            # memory to take the scheduler's messages.
            self._scripts.run(prune(PRUNE_BATCH))

    def _beat(self) -> float:
        """Beat once; return in how many seconds the next beat is needed."""
        with self._lock:
            leases = list(self._leases.values())
        if self._durable is None:
            self._durable = self._is_durable()
        reply = self._renew(leases[:RENEWED_AT_ONCE], BEAT_BATCH)
        for at in range(RENEWED_AT_ONCE, len(leases), RENEWED_AT_ONCE):
            self._renew(leases[at : at + RENEWED_AT_ONCE], 0)
        self._report_loss(reply.loss)
        if reply.abandoned_event is not None:
            self._finish_event(reply.abandoned_event)
        if reply.next_ms is None:
            return self._interval
        if reply.done >= BEAT_BATCH:
            return 0.0
        return min(max(reply.next_ms / 1000, MIN_INTERVAL_SECONDS), self._interval)

    def _renew(self, leases: Sequence[Lease], due: int) -> HeartbeatReply:
        """Renew leases in one round trip, and do what is due.

        Parameters:
          leases: At most RENEWED_AT_ONCE.
          due: The most items of each kind to do.
        """
        # Before the call: Redis may run the script at once and its reply may be slow.
        sent_at = time.monotonic()
        claims = ((lease.id, lease.owner, lease.fence) for lease in leases)
        raised = self._mark.next_raise()
        reply = self._scripts.run(heartbeat(due, self._durable or 0, *raised, *claims))
        self._mark.confirm(raised)
        for lease in leases:
            if lease.id not in reply.lost:
                lease.renewed_at = sent_at
            elif not lease.ending:
                self._abandon(lease, "claimed by another worker")
        return reply

    def _finish_event(self, event: str) -> None:
        """Create the jobs of an event whose acceptor has died, for as long as a beat may take."""
        began_at = time.monotonic()
        try:
            while self._scripts.run(create_deferred_jobs(event, JOBS_AT_ONCE)):
                if time.monotonic() - began_at > self._interval:
                    return
        except RedisError as error:
            _log.warning("jobs of an event not created yet", error=type(error).__name__)

    def _report_loss(self, loss: HistoryLoss | None) -> None:
        """Log a loss of history once: somebody has to know that acknowledged work is missing."""
        if loss is None or loss.epoch == self._known_epoch:
            return
        self._known_epoch = loss.epoch
        _log.error(
            "history lost: the store lacks what was recorded last; writes are looked for first",
            epoch=loss.epoch,
            cause=loss.cause,
            missing_seconds=round(loss.missing_ms / 1000, 1),
        )

    def _abandon_overdue(self) -> None:
        with self._lock:
            overdue = [lease for lease in self._leases.values() if not lease.is_valid]
        for lease in overdue:
            self._abandon(lease, "renewal overdue")

    def _abandon(self, lease: Lease, why: str) -> None:
        with self._lock:
            if self._leases.get(lease.id) is not lease:
                return  # its work has ended meanwhile
            del self._leases[lease.id]
        _log.warning("lease lost; work canceled", id=lease.id, reason=why)
        lease.abandon()


def start_heartbeat(
    url: str, script_config: ScriptConfig, mark: HighWaterMark | None = None
) -> LeaseHeartbeat:
    """Start a heartbeat; parameters as `LeaseHeartbeat`."""
    thread = LeaseHeartbeat(url, script_config, mark)
    thread.start()
    return thread
