"""Events, orders and comments while a store's replica takes over: nothing is written twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from deploy.local.stack import Stack
from deploy.local.wait import until
from service.jobs.rescue import UNFINISHED
from service.redis.client import REDIS_ERRORS
from tests.chaos.cluster import TIMES
from tests.chaos.failover import Failover
from tests.chaos.sender import ChaosSender, handle_of, paid_event, renewed_event
from tests.support.invariants import audit
from tests.support.ledger import LedgerHarness, open_ledger

SENDERS: Final = 4
PAUSE_SECONDS: Final = 0.05
SETTLING_SECONDS: Final = 180.0
UNDER_WAY_SECONDS: Final = 10.0


class Storm:
    """Everything that is sent, once or several times, and what came of it.

    Parameters:
      stack: The processes.
      failover: Their store.
    """

    def __init__(self, stack: Stack, failover: Failover) -> None:
        self.stack = stack
        self.failover = failover
        self._sender = ChaosSender(stack, seconds=SETTLING_SECONDS)
        self._sends: dict[str, Callable[[], list[str]]] = {}
        self._lock = Lock()
        #: The jobs of which a sender was told, by the text that each is to write.
        self.acknowledged: dict[str, list[str]] = {}

    def plan(self, count: int) -> None:
        """Plan paid events, orders with an idempotency key, and comments, in turn."""
        for number in range(count):
            name = f"storm-{number}"
            text, send = self._plan(name, number % 3)
            self._sends[text] = send

    def _plan(self, name: str, kind: int) -> tuple[str, Callable[[], list[str]]]:
        if kind == 0:
            return f"Hello {name}!", lambda: [str(self._sender.order(name, "shop")["id"])]
        if kind == 1:
            comment = renewed_event(name, handle_of(name))
            text = f"Welcome back, @{handle_of(name)}!"
            return text, lambda: list(self._sender.deliver(comment)["jobs"])
        paid = paid_event(name)
        order = paid["data"]["object"]["metadata"]["order"]
        text = f"Thank you, {name}! Your order {order} is on its way."
        return text, lambda: list(self._sender.deliver(paid)["jobs"])

    def send_all(self) -> None:
        """Send everything once more, each until it is acknowledged."""
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(self._send, self._sends))

    def _send(self, text: str) -> None:
        jobs = self._sends[text]()
        with self._lock:
            self.acknowledged[text] = jobs
        time.sleep(PAUSE_SECONDS)

    def written(self) -> Counter[str]:
        """How often each text has arrived at Instagram."""
        fake = self.stack.fake_instagram
        counts = Counter(dm["text"] for dm in fake.dms())
        counts.update(comment["text"] for comment in fake.comments())
        return counts

    def wait_until_under_way(self, count: int) -> None:
        """Wait for some writes, but not for long: with a replica too slow for its durability,
        nothing is acknowledged and nothing written.
        """
        end = time.monotonic() + UNDER_WAY_SECONDS
        until(lambda: self.written().total() > count or time.monotonic() > end, 60, "the writes")

    def forgotten(self, jobs: Iterable[str]) -> list[str]:
        """Those of some jobs that the store does not know."""
        with open_ledger(self.failover.url) as ledger:
            return [job for job in jobs if not ledger.store.exists(f"hg:job:{job}")]

    def wait_settled(self) -> None:
        """Wait until every job has ended."""
        with open_ledger(self.failover.url) as ledger:

            def has_settled() -> bool:
                # At one moment: a job that changes its state is in one of the indexes.
                with ledger.store.pipeline(transaction=True) as pipe:
                    for index in UNFINISHED:
                        pipe.zcard(index)
                    try:
                        return not any(pipe.execute())
                    except REDIS_ERRORS:
                        return False

            until(has_settled, SETTLING_SECONDS, "the end of every job")

    def check(self) -> None:
        """Check that each text was written once, and that the store is consistent.

        Raises:
          AssertionError: One was written twice or never, or a record and an index disagree.
        """
        written = self.written()
        doubled = {text: times for text, times in written.items() if times > 1}
        missing = self._sends.keys() - written.keys()
        with open_ledger(self.failover.url) as ledger:
            assert not doubled, f"written again: {self._told(ledger, doubled)}"
            assert not missing, f"never written: {self._told(ledger, missing)}"
            assert audit(ledger) == []

    def _told(self, ledger: LedgerHarness, texts: Iterable[str]) -> dict[str, Any]:
        """The timelines of the jobs that were to write some texts."""
        return {
            text: {job: ledger.run(ledger.queries.timeline(job)) for job in self.acknowledged[text]}
            for text in texts
        }


@contextmanager
def open_storm(
    directory: Path, failover: Failover, environ: Mapping[str, str] | None = None
) -> Iterator[Storm]:
    """Start every process, two workers among them, over a store with a replica.

    Parameters:
      directory: For their logs.
      failover: The store; it is running.
      environ: More variables of the processes.
    """
    variables = {**TIMES, **(environ or {})}
    with Stack(directory, environ=variables, redis_url=failover.url) as stack:
        stack.start("worker", "worker-2")
        yield Storm(stack, failover)


def storm(storm: Storm, promote: Callable[[Failover], None], count: int) -> list[str]:
    """Let the replica take over in the midst of everything, and send all of it again.

    Parameters:
      storm: What to do it with.
      promote: How the replica takes over.
      count: How many texts to write.

    Returns:
      The jobs that were acknowledged and are not known any more.
    """
    storm.plan(count)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(storm.send_all)
        storm.wait_until_under_way(count // 3)
        promised = [job for jobs in list(storm.acknowledged.values()) for job in jobs]
        promote(storm.failover)
        storm.failover.rejoin()
        sending.result()
    lost = storm.forgotten(promised)
    # Senders repeat what they are not sure of: here, all of it.
    storm.send_all()
    storm.wait_settled()
    storm.check()
    return lost
