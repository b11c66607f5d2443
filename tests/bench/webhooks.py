"""Webhooks: how many events per second are made durable, and what may delay them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import redis

from deploy.local.stack import Stack
from deploy.local.wait import free_port, is_ready, until
from tests.bench import concurrency
from tests.bench.cores import PLACES, beside_the_server, pin
from tests.bench.events import paid_event
from tests.bench.generator import fire
from tests.bench.load import Load
from tests.bench.servers import Server, baseline
from tests.bench.table import Goal, Row, median, ratio

#: Many short rounds in turns, so that other load on the machine affects all servers alike.
ROUNDS: Final = 11
SECONDS: Final = 0.35
#: Enough that every server always has a request to work on; with ours some wait for the store.
CONNECTIONS: Final = 64
#: More than any server takes in a round.
MAX_REQUESTS: Final = 4_000
WARM_UP: Final = 500

OURS: Final = "Heliograph: stored, rules run, job in line"
#: The same without encryption at rest, and the least ratio of ours to it.
PLAIN: Final = "Heliograph with ENCRYPT_AT_REST=off"
LEAST_OF_PLAIN: Final = 0.9
#: The baselines by module, with the least ratio of ours to each.
BASELINES: Final[Mapping[str, tuple[str, float]]] = {
    "ceiling": ("ceiling: same checks, nothing stored", 0.75),
    "send": (".send in the handler", 2.2),
    "delay": ("Celery .delay in the handler", 4.0),
}


def measure(directory: Path) -> Sequence[Row]:
    """Accepts per second, and response times while calls are in progress."""
    with beside_the_server():
        return [accepts(directory / "accepts"), *concurrency.measure(directory / "meanwhile")]


def accepts(directory: Path, rounds: int = ROUNDS, seconds: float = SECONDS) -> Row:
    """Durable accepts per second, beside servers that do less.

    Parameters:
      directory: For the processes' output.
      rounds: How often each server is measured, in turns.
      seconds: For how long each time.
    """
    document = paid_event()
    rates: dict[str, list[float]] = {}
    busy = 0.0
    with contenders(directory) as (servers, secret):
        names = list(servers)
        turns = [names if number % 2 else names[::-1] for number in range(rounds)]
        for name in [*names, *itertools.chain.from_iterable(turns)]:
            warm_up = name not in rates
            load = Load(
                servers[name].hook,
                [document],
                secret,
                count=WARM_UP if warm_up else MAX_REQUESTS,
                seconds=seconds,
                connections=CONNECTIONS,
            )
            timings = fire(load)
            if set(timings.statuses) != {"202"}:
                raise RuntimeError(f"{name} answered {timings.statuses}")
            rates.setdefault(name, []) if warm_up else rates[name].append(timings.rate)
            busy = max(busy, timings.busy)
    return _accepts_row({name: median(each) for name, each in rates.items()}, rounds, busy)


def _accepts_row(figures: Mapping[str, float], rounds: int, busy: float) -> Row:
    ours, plain = figures["ours"], figures["plain"]
    others = {name: rate for name, rate in figures.items() if name in BASELINES}
    size = len(json.dumps(paid_event()))
    how = (
        f"{size} bytes signed as Stripe signs, every event another, {CONNECTIONS} connections;"
        f" {PLACES}; medians of {rounds} turns each; Valkey with appendfsync always, its file not"
        f" rewritten meanwhile; the generator was busy for {busy:.0%} of the time at most"
    )
    goals = [
        Goal("ours / ENCRYPT_AT_REST=off", ratio(ours, plain), ">=", LEAST_OF_PLAIN),
        *(
            Goal(f"ours / {BASELINES[name][0].partition(':')[0]}", ratio(ours, rate), ">=", bound)
            for name, rate in others.items()
            for bound in [BASELINES[name][1]]
        ),
    ]
    named = {BASELINES[name][0]: rate for name, rate in others.items()}
    return Row("Durable accepts a second", how, {OURS: ours, PLAIN: plain, **named}, "/s", goals)


@contextmanager
def contenders(directory: Path) -> Iterator[tuple[Mapping[str, Server], str]]:
    """Run ours and the baselines on one core, and their store on the other.

    Parameters:
      directory: For the processes' output.
    """
    with ExitStack() as open_, Stack(directory, processes=("web",)) as stack:
        pin(stack.processes["web"].pid)
        with redis.Redis.from_url(stack.redis_url) as store:
            # No rewrite of the append-only file: it would disturb only the server measured then.
            store.config_set("auto-aof-rewrite-percentage", 0)
        servers = {"ours": Server(stack.url), "plain": _without_encryption(stack)}
        for number, name in enumerate(BASELINES, 1):
            environ = {**stack.environ(), "REDIS_URL": f"{stack.redis_url[:-1]}{number}"}
            servers[name] = open_.enter_context(baseline(name, environ, directory))
        yield servers, stack.webhook_secret


def _without_encryption(stack: Stack) -> Server:
    """Run another web process of the stack, beside the first and like it in all else."""
    port = free_port()
    process = stack.start("web", "web-plain", {"ENCRYPT_AT_REST": "off", "PORT": str(port)})
    pin(process.pid)
    server = Server(f"http://127.0.0.1:{port}", process)
    until(lambda: is_ready(server.url), 30, "the web process without encryption")
    return server
