"""Random faults from a seed: kills, freezes, cuts, delays and errors while events come in."""

from __future__ import annotations

import math
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

from tests.chaos.cluster import WORKERS, Cluster
from tests.chaos.failpoints import WEB_STEPS, WORKER_STEPS, set_failpoint
from tests.chaos.relay import Relay

_VICTIMS: Final = ("web", *WORKERS, *WORKERS, "scheduler")
_STEPS: Final = (*WEB_STEPS, *WORKER_STEPS)
#: The most jobs that are unfinished at a time while faults are injected.
_BACKLOG: Final = 16
#: The store's usual latency each way, so that faults hit work between two steps.
_USUAL_SECONDS: Final = 0.02
#: Faults are injected for this long per event.
_SECONDS_PER_EVENT: Final = 0.3
#: A bound on the time until all jobs have ended: some have long waits between attempts.
_SETTLE_SECONDS: Final = 240.0
_WRITE_FAULTS: Final[tuple[dict[str, object], ...]] = (
    {"effect": "drop_after"},
    {"effect": "drop_before"},
    {"effect": "empty_ok"},
    {"status_after_effect": 502},
    {"delay_after_effect_seconds": 2.5},
    {"delay_seconds": 2.5},
)


class RandomFaults:
    """Injects random faults until it is stopped; the same seed injects the same ones.

    Parameters:
      cluster: Where to inject them.
      seed: Decides what happens, in which order and when.
      store: Whether the store may be killed, too.
      seconds: For how long.
    """

    def __init__(
        self, cluster: Cluster, seed: int, *, store: bool, seconds: float = math.inf
    ) -> None:
        self.injected = 0
        self._cluster = cluster
        self._dice = random.Random(seed)
        self._stopped = threading.Event()
        self._seconds = seconds
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._choices: list[Callable[[], str]] = [
            *[self._kill] * 3,
            self._stop,
            self._freeze,
            *[self._set_failpoint] * 2,
            self._fault_write,
            self._fault_read,
            self._delay_instagram,
            self._cut_instagram,
            self._fault_receiver,
            self._delay_store,
            self._stall_store,
            self._stall_one,
            self._cut_store,
            *([self._kill_store, self._set_store_failpoint] if store else []),
        ]

    def begin(self) -> None:
        """Start injecting faults."""
        for relay in self._cluster.relays.values():
            relay.delay(_USUAL_SECONDS)
        self._thread.start()

    def end(self) -> None:
        """Stop, and undo every fault."""
        self._stopped.set()
        self._thread.join()
        self._cluster.clear_faults()
        self._cluster.log("no more faults")

    @property
    def running(self) -> bool:
        """Whether it is still injecting faults."""
        return self._thread.is_alive()

    def _run(self) -> None:
        last = time.monotonic() + self._seconds
        while time.monotonic() < last and not self._stopped.wait(self._dice.uniform(0.1, 0.9)):
            self._cluster.log(self._dice.choice(self._choices)())
            self.injected += 1

    # -- processes

    def _victim(self) -> str:
        return self._dice.choice(_VICTIMS)

    def _kill(self) -> str:
        label = self._victim()
        self._cluster.stack.processes[label].signal(signal.SIGKILL, group=True)
        return f"kill {label}"

    def _stop(self) -> str:
        label, many = self._victim(), self._dice.randint(1, 3)
        for _ in range(many):
            self._cluster.stack.processes[label].signal(signal.SIGTERM, group=many > 1)
        return f"stop {label} {many} times"

    def _freeze(self) -> str:
        label, seconds = self._dice.choice(WORKERS), self._dice.uniform(0.5, 6)
        process = self._cluster.stack.processes[label]
        process.signal(signal.SIGSTOP, group=True)
        self._stopped.wait(seconds)
        process.signal(signal.SIGCONT, group=True)
        return f"freeze {label} for {seconds:.1f} s"

    def _set_failpoint(self) -> str:
        step = self._dice.choice(_STEPS)
        set_failpoint(self._cluster.failpoints, step)
        return f"failpoint {step}"

    # -- Instagram and the customer

    def _fault_write(self) -> str:
        fault = self._dice.choice(_WRITE_FAULTS)
        call = self._dice.choice(("broadcast_*", "comment"))
        self._cluster.stack.fake_instagram.fault(call, **fault)  # type: ignore[arg-type]
        return f"{call} {fault}"

    def _fault_read(self) -> str:
        call = self._dice.choice(("*thread*", "usernameinfo", "comments"))
        self._cluster.stack.fake_instagram.fault(call, status=500)
        return f"read 500 {call}"

    def _delay_instagram(self) -> str:
        seconds, times = self._dice.uniform(0.05, 1.5), self._dice.randint(1, 6)
        effect = self._dice.choice(("delay_seconds", "delay_after_effect_seconds"))
        self._cluster.stack.fake_instagram.fault("*", times=times, **{effect: seconds})  # type: ignore[arg-type]
        return f"{effect} {seconds:.2f} s for {times} calls to Instagram"

    def _cut_instagram(self) -> str:
        return (
            f"cut {self._cluster.stack.fake_instagram.cut_connections()} connections to Instagram"
        )

    def _fault_receiver(self) -> str:
        status = self._dice.choice((500, 503, 302))
        self._cluster.stack.receiver.answer(status=status, times=1)
        return f"receiver {status}"

    # -- the store and the way to it

    def _paths(self) -> tuple[str, list[Relay]]:
        """The relays of all processes, or of one, with a description."""
        relays = self._cluster.relays
        if self._dice.random() < 0.3:
            return "all processes", list(relays.values())
        label = self._victim()
        return label, [relays[label]]

    def _delay_store(self) -> str:
        owner, relays = self._paths()
        latency, seconds = self._dice.uniform(0.05, 1.5), self._dice.uniform(0.5, 3)
        for relay in relays:
            relay.delay(latency)
        self._stopped.wait(seconds)
        for relay in relays:
            relay.delay(_USUAL_SECONDS)
        return f"delay the store for {owner} by {latency:.2f} s each way for {seconds:.1f} s"

    def _stall_store(self) -> str:
        owner, relays = self._paths()
        seconds = self._dice.uniform(0.5, 4)
        for relay in relays:
            relay.stall(seconds)
        self._stopped.wait(seconds)
        return f"stall the store for {owner} for {seconds:.1f} s"

    def _stall_one(self) -> str:
        label, share, seconds = self._victim(), self._dice.random(), self._dice.uniform(0.5, 8)
        self._cluster.relays[label].stall_one(share, seconds)
        return f"stall one of {label}'s connections to the store ({share:.2f}) for {seconds:.1f} s"

    def _cut_store(self) -> str:
        owner, relays = self._paths()
        return f"cut {sum(relay.cut() for relay in relays)} connections of {owner} to the store"

    def _kill_store(self) -> str:
        seconds = self._dice.uniform(0, 1.5)
        self._cluster.kill_store(seconds)
        return f"kill the store for {seconds:.1f} s"

    def _set_store_failpoint(self) -> str:
        step = self._dice.choice(_STEPS)
        set_failpoint(self._cluster.failpoints, step, victim=self._cluster.stack.store.pid)
        return f"failpoint {step}, for the store"


def random_faults(cluster: Cluster, seed: int, events: int, *, store: bool) -> None:
    """Send events while faults are injected, then check the promises.

    Half of the events make DMs; most of the others make comments with the same text.

    Parameters:
      cluster: The processes.
      seed: The seed of the faults.
      events: How many events to send.
      store: Whether the store may be killed, too.
    """
    faults = RandomFaults(cluster, seed, store=store, seconds=events * _SECONDS_PER_EVENT)
    faults.begin()
    dice = random.Random(seed + 1)
    try:
        for number in range(events):
            # Work must be in progress while faults are injected, not only accepted.
            while faults.running and len(cluster.unfinished()) >= _BACKLOG:
                time.sleep(0.05)
            name = f"s{seed}-{number}"
            if number % 2 == 0:
                cluster.send_payment(name)
            else:
                cluster.send_renewal(name, f"c{seed}.{number}" if number % 8 == 7 else f"c{seed}")
            time.sleep(dice.uniform(0, 0.05))
    finally:
        faults.end()
    cluster.wait_settled(_SETTLE_SECONDS + events / 2)
    cluster.check_promises()
