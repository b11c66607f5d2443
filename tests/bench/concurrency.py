"""Response times while outgoing calls are in progress, beside servers that make them directly.

One and the same load for all: events that ask for nothing and `/healthz`, both measured, and
beside them events that ask for a call each. Ours makes that call from a worker, as a callback.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from deploy.local.sender import event
from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.bench.baselines.serving import OUTSIDE, SECRET
from tests.bench.cores import LOAD, SERVER, pin
from tests.bench.events import paid_event, unpaid_event
from tests.bench.generator import Prepared, fire
from tests.bench.load import Load, Timings
from tests.bench.servers import Server, baseline
from tests.bench.slow_server import SlowServer, run_slow_server
from tests.bench.table import Goal, Row, median, ratio
from tests.support.config_file import usual_config, write_config

CALL_SECONDS: Final = 2.0
#: Each begins a call, so that twice as many are in progress.
CALLS_A_SECOND: Final = 100.0
#: Ours makes a few calls at a time to any one origin.
ORIGINS: Final = 80
#: Connections of each of the two measured loads.
ASKED_A_SECOND: Final = 200.0
SECONDS: Final = 2.5
RAMP_SECONDS: Final = CALL_SECONDS + 1
HANGING_COUNT: Final = 600
ROUNDS: Final = 3
TURNS: Final = 5
SHARES: Final[Mapping[str, float]] = {"p50": 0.5, "p99": 0.99}
BUSY: Final = "calls under way"
BOUND: Final = 1.5

OURS: Final = "Heliograph"
#: By module.
BASELINES: Final[Mapping[str, str]] = {
    "blocking": "sync client, async handler",
    "threads": "thread pool",
    "background": "BackgroundTasks",
}

#: The slow server needs a core, too, and must not slow the measured ones down.
_PLACES: Final = (
    f"server, store and what is measured on core {SERVER}, workers and all they call on core {LOAD}"
)

#: What was measured, in ms: `accepts p99 idle` and the like; and how many calls were in progress.
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Place:
    """A server under load, and the slow server that it calls.

    Parameters:
      server: The server.
      secret: Signs its webhooks.
      slow_server: The server that it calls.
      calls: The events that cause a call.
    """

    server: Server
    secret: str
    slow_server: SlowServer
    calls: Sequence[Mapping[str, Any]]


def measure(directory: Path) -> Sequence[Row]:
    """Response times while 200 calls are in progress, and while all origins hang."""
    directory.mkdir(parents=True)
    figures: dict[str, Figures] = {}
    with run_slow_server(directory) as slow_server:
        with _ours(directory, slow_server) as (place, stack):
            turns = [turn(place) for _ in range(TURNS)]
            figures[OURS] = _medians(turns)
            hanging = _while_all_hangs(stack)
        for module, name in BASELINES.items():
            with _baseline(module, directory, slow_server) as place:
                figures[name] = turn(place)
    rows = [("/healthz", "healthz"), ("accepts", "accepts")]
    return [*(_row(title, what, figures, turns) for title, what in rows), hanging]


def turn(place: Place, seconds: float = SECONDS) -> Figures:
    """Measure idle, then with calls in progress.

    Parameters:
      place: The server.
      seconds: For how long each.
    """
    place.slow_server.take(CALL_SECONDS)
    with _fed(place, [unpaid_event()], seconds):
        idle = _answers(place, seconds)
    with _fed(place, place.calls, seconds):
        time.sleep(RAMP_SECONDS)  # from then on as many calls end as begin
        busy = _answers(place, seconds)
    return {**_named(idle, "idle"), **_named(busy, BUSY), "calls": place.slow_server.most()}


@contextmanager
def _fed(place: Place, events: Sequence[Mapping[str, Any]], seconds: float) -> Iterator[None]:
    """Send events in the background until the end of the block."""
    feed = Prepared(
        Load(
            place.server.hook,
            events,
            place.secret,
            count=round(CALLS_A_SECOND * (RAMP_SECONDS + 2 * seconds + CALL_SECONDS)),
            connections=256,
            per_second=CALLS_A_SECOND,
        )
    )
    try:
        feed.begin()
        yield
    finally:
        feed.drop()


def _answers(place: Place, seconds: float) -> Mapping[str, Timings]:
    """Measure `/healthz` and events that match no rule, both at once."""
    webhooks = Load(
        place.server.hook,
        [unpaid_event()],
        place.secret,
        count=round(ASKED_A_SECOND * seconds),
        seconds=seconds,
        per_second=ASKED_A_SECOND,
    )
    gets = replace(webhooks, url=f"{place.server.url}/healthz", events=())
    loads = {"accepts": Prepared(webhooks, SERVER), "healthz": Prepared(gets, SERVER)}
    for load in loads.values():
        load.begin()
    return {name: load.timings() for name, load in loads.items()}


def _named(answers: Mapping[str, Timings], when: str) -> Figures:
    return {
        f"{what} {name} {when}": timings.percentile(share)
        for what, timings in answers.items()
        for name, share in SHARES.items()
    }


def _medians(turns: Sequence[Figures]) -> Figures:
    return {name: median([turn[name] for turn in turns]) for name in turns[0]}


def _row(title: str, what: str, figures: Mapping[str, Figures], turns: Sequence[Figures]) -> Row:
    how = (
        f"{ASKED_A_SECOND:g} events and as many GET /healthz a second, measured beside"
        f" {CALLS_A_SECOND:g} more events a second, which ask for nothing (idle) or for a call of"
        f" {CALL_SECONDS:g} s each; {_PLACES}; medians of {TURNS} turns (the others: one);"
        " under way at once at most:"
        " " + ", ".join(f"{name} {each['calls']:g}" for name, each in figures.items())
    )
    shown = {
        f"{name}: {share} {when}": each[f"{what} {share} {when}"]
        for name, each in figures.items()
        for share in SHARES
        for when in ("idle", BUSY)
    }
    # The ratio of the two sides of each turn: a disturbance affects both.
    ratios = [ratio(each[f"{what} p99 {BUSY}"], each[f"{what} p99 idle"]) for each in turns]
    goals = [Goal(f"p99 of {title} with calls under way / idle", median(ratios), "<=", BOUND)]
    if what == "accepts":
        goals.append(Goal("calls under way in the workers", figures[OURS]["calls"], ">=", 190))
    return Row(f"Answers while calls are under way: {title}", how, shown, "ms", goals)


def _while_all_hangs(stack: Stack) -> Row:
    """Webhook response times with idle workers, and with every call of theirs hanging."""
    paid, unpaid = event("checkout.session.completed"), event("checkout.session.completed.unpaid")
    hook = f"{stack.url}/webhooks/stripe"

    def load(document: Mapping[str, Any], count: int = HANGING_COUNT) -> Timings:
        load = Load(hook, [document], stack.webhook_secret, count=count, connections=8)
        return fire(load, SERVER)

    stack.fake_instagram.fault("*", delay_seconds=30, times=None)
    stack.receiver.answer(delay_seconds=30)
    load(unpaid)  # warm
    idle = [load(unpaid) for _ in range(ROUNDS)]
    load(paid, 50)  # these hang at Instagram, their callbacks at the receiver
    load({**paid, "data": {"object": {**paid["data"]["object"], "custom_fields": []}}}, 50)
    until(stack.fake_instagram.log, 20, "a call that hangs")
    hanging = [load(unpaid) for _ in range(ROUNDS)]
    figures = {
        f"{name} {when}": median([timings.percentile(share) for timings in turns])
        for name, share in SHARES.items()
        for when, turns in (("idle", idle), ("hanging", hanging))
    }
    how = (
        f"{HANGING_COUNT} events over 8 connections, as fast as they are answered; {_PLACES};"
        f" medians of {ROUNDS}; Instagram and the receiver take 30 s over everything"
    )
    goals = [
        Goal(
            f"{name} hanging / idle",
            ratio(figures[f"{name} hanging"], figures[f"{name} idle"]),
            "<=",
            BOUND,
        )
        for name in SHARES
    ]
    return Row("Webhook answers while everything outside hangs", how, figures, "ms", goals)


@contextmanager
def _ours(directory: Path, slow_server: SlowServer) -> Iterator[tuple[Place, Stack]]:
    """Run web and worker, with a callback at every origin of the slow server."""
    document = config_with_origins(slow_server.port)
    config = write_config(directory / "heliograph.toml", document)
    calls = [paid_event(type=f"call.{number}") for number in range(1, ORIGINS + 1)]
    with Stack(directory / "stack", processes=("web", "worker"), config=config) as stack:
        pin(stack.processes["web"].pid)
        pin(stack.store.pid)
        worker = stack.processes["worker"]
        until(lambda: "ready for action" in worker.log.read_text(), 30, "the worker")
        yield Place(Server(stack.url), stack.webhook_secret, slow_server, calls), stack
        for process in stack.processes.values():
            process.kill()  # a normal stop would wait for their calls


def config_with_origins(port: int) -> dict[str, Any]:
    """The local stack's configuration, with a rule and a callback for every origin.

    Parameters:
      port: Where the slow server listens.
    """
    numbers = range(1, ORIGINS + 1)
    # A job without a recipient is rejected at creation: only its callback is left to do.
    job = {"action": "dm", "to": "{{ object.nobody }}", "text": "-"}
    return usual_config(
        callbacks={f"outside-{n}": {"url": f"http://127.0.0.{n}:{port}/"} for n in numbers},
        rules=[
            {"name": f"call-{n}", "event": f"call.{n}", "callback": f"outside-{n}", **job}
            for n in numbers
        ],
    )


@contextmanager
def _baseline(module: str, directory: Path, slow_server: SlowServer) -> Iterator[Place]:
    secret = f"whsec_{secrets.token_hex(24)}"
    environ = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        SECRET: secret,
        OUTSIDE: f"http://127.0.0.1:{slow_server.port}/",
    }
    with baseline(module, environ, directory) as server:
        yield Place(server, secret, slow_server, [paid_event()])
