"""A seeded storm: kills, freezes, cuts and faults at random while events come in."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import redis

from tests.chaos.arena import WORKERS, Arena, paid_event, renewed_event
from tests.chaos.traps import WEB_STEPS, WORKER_STEPS, set_trap

_VICTIMS: Final = ("web", *WORKERS, *WORKERS, "scheduler")
_WRITE_FAULTS: Final[tuple[dict[str, object], ...]] = (
    {"effect": "drop_after"},
    {"effect": "drop_before"},
    {"effect": "empty_ok"},
    {"status_after_effect": 502},
    {"delay_after_effect_seconds": 2.5},
    {"delay_seconds": 2.5},
)


@dataclass
class Storm:
    """Strikes at random until told to stop; the same seed strikes the same way.

    Parameters:
      arena: What is struck.
      seed: Decides what happens, in which order and after how long.
      store: Whether the store is killed too.
    """

    arena: Arena
    seed: int
    store: bool = True
    strikes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rage, daemon=True)

    def begin(self) -> None:
        """Begin to strike."""
        self._thread.start()

    def end(self) -> None:
        """Stop, and make everything whole again."""
        self._over.set()
        self._thread.join()
        stack = self.arena.stack
        stack.standin.clear_faults()
        stack.receiver.clear_answers()
        for trap in self.arena.traps.iterdir():
            trap.unlink(missing_ok=True)
        for process in stack.processes.values():
            process.signal(signal.SIGCONT, group=True)

    def _rage(self) -> None:
        kinds: list[Callable[[], str]] = [
            self._kill,
            self._kill,
            self._kill,
            self._stop,
            self._freeze,
            self._trap,
            self._trap,
            self._fault_write,
            self._fault_read,
            self._fault_receiver,
            self._cut,
        ]
        if self.store:
            kinds += [self._kill_store, self._cut_store]
        while not self._over.wait(self._dice.uniform(0.1, 0.9)):
            self.strikes.append(self._dice.choice(kinds)())

    def _victim(self) -> str:
        return self._dice.choice(_VICTIMS)

    def _kill(self) -> str:
        label = self._victim()
        self.arena.stack.processes[label].signal(signal.SIGKILL, group=True)
        return f"kill {label}"

    def _stop(self) -> str:
        label, many = self._victim(), self._dice.randint(1, 3)
        for _ in range(many):
            self.arena.stack.processes[label].signal(signal.SIGTERM, group=many > 1)
        return f"stop {label} {many} times"

    def _freeze(self) -> str:
        label, seconds = self._dice.choice(WORKERS), self._dice.uniform(0.5, 6)
        process = self.arena.stack.processes[label]
        process.signal(signal.SIGSTOP, group=True)
        self._over.wait(seconds)
        process.signal(signal.SIGCONT, group=True)
        return f"freeze {label} {seconds:.1f} s"

    def _trap(self) -> str:
        step = self._dice.choice([*WEB_STEPS, *WORKER_STEPS])
        set_trap(self.arena.traps, step)
        return f"trap {step}"

    def _fault_write(self) -> str:
        fault = self._dice.choice(_WRITE_FAULTS)
        call = self._dice.choice(("broadcast_*", "comment"))
        self.arena.stack.standin.fault(call, **fault)  # type: ignore[arg-type]
        return f"{call} {fault}"

    def _fault_read(self) -> str:
        call = self._dice.choice(("*thread*", "usernameinfo", "comments"))
        self.arena.stack.standin.fault(call, status=500)
        return f"read 500 {call}"

    def _fault_receiver(self) -> str:
        status = self._dice.choice((500, 503, 302))
        self.arena.stack.receiver.answer(status=status, times=1)
        return f"receiver {status}"

    def _cut(self) -> str:
        return f"cut {self.arena.stack.standin.cut_connections()} connections"

    def _cut_store(self) -> str:
        with redis.Redis.from_url(self.arena.stack.redis_url) as client:
            cut = client.client_kill_filter(_type="normal", skipme=True)
        return f"cut {cut} connections to the store"

    def _kill_store(self) -> str:
        seconds = self._dice.uniform(0, 1.5)
        self.arena.stack.store.kill()
        time.sleep(seconds)
        self.arena.stack.store.start()
        return f"kill the store for {seconds:.1f} s"


def weather(arena: Arena, seed: int, events: int, *, store: bool) -> tuple[list[str], Storm]:
    """Send events through a storm and tell which promises it broke.

    Half of them make DMs; of the others, most make comments with one and the same text.

    Parameters:
      arena: The processes.
      seed: The storm's.
      events: How many events to send.
      store: Whether the store is killed too.
    """
    storm = Storm(arena, seed, store)
    storm.begin()
    paid: dict[str, str] = {}
    renewed: dict[str, str] = {}
    jobs: list[str] = []
    dice = random.Random(seed + 1)
    try:
        for number in range(events):
            name = f"s{seed}-{number}"
            if number % 2 == 0:
                answer = arena.deliver(paid_event(name))
                paid[answer["event_id"]] = name
            else:
                handle = f"c{seed}.{number}" if number % 8 == 7 else f"c{seed}"
                answer = arena.deliver(renewed_event(name, handle))
                renewed |= dict.fromkeys(answer["jobs"], f"Welcome back, @{handle}!")
            jobs += answer["jobs"]
            time.sleep(dice.uniform(0, 0.05))
    finally:
        storm.end()
    arena.settled(jobs, 120 + events / 2)
    return arena.promises_broken(paid, renewed), storm
