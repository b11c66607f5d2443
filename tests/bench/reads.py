"""Cached profiles beside a bare FastAPI route, and while Instagram hangs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.local.procfile import ROOT
from deploy.local.stack import Stack
from deploy.local.wait import free_port, until
from tests.bench.cores import LOAD, PLACES, SERVER, pin
from tests.bench.gets import fetch, get_of
from tests.bench.table import Goal, Row, median, ratio

NAME: Final = "some.handle"
ROUNDS, ROUND_SECONDS, CONNECTIONS = 7, 0.3, 16
#: Far below the capacity of the process, to measure latency without queueing.
CALM_ROUNDS, CALM_SECONDS, CALM_CONNECTIONS, CALM_PAUSE_SECONDS = 7, 0.3, 8, 0.005
#: Clients that wait while Instagram hangs, and for how long; two rounds without them fit in.
WAITING, WAIT_SECONDS = 40, 1.2


@dataclass
class Target:
    """A request that is sent repeatedly.

    Parameters:
      port: The server's port.
      pid: The server's process id.
      request: The request as bytes.
      rates: Responses per second of the server's processor time, one per round.
      wall: Responses per second, one per round.
    """

    port: int
    pid: int
    request: bytes
    rates: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def ask(self) -> None:
        """Measure a round."""
        before = _busy_seconds(self.pid)
        answers = fetch(self.port, [self.request], seconds=ROUND_SECONDS, connections=CONNECTIONS)
        self.rates.append(len(answers.seconds) / (_busy_seconds(self.pid) - before))
        self.wall.append(answers.rate)


def measure(directory: Path) -> Sequence[Row]:
    """Request a cached profile, and the same bytes from a bare route, in turns."""
    pin(os.getpid(), LOAD)
    with Stack(directory, processes=("web", "worker")) as stack:
        web = stack.processes["web"].pid
        pin(web, SERVER)
        profile, etag = _look_up(stack)
        with _bare(profile) as (port, pid):
            pin(pid, SERVER)
            key = {"authorization": f"Bearer {stack.api_key}"}
            path = f"{stack.url}/users/{NAME}"
            targets = {
                "bare route": Target(port, pid, get_of(f"http://127.0.0.1:{port}/users/{NAME}")),
                "cached profile": Target(stack.port, web, get_of(path, key)),
                "not modified": Target(
                    stack.port, web, get_of(path, {**key, "if-none-match": etag})
                ),
            }
            for _ in range(ROUNDS):
                for target in targets.values():
                    target.ask()
        return [_rates(targets, len(json.dumps(profile))), _calm(stack, path, key)]


def _rates(targets: Mapping[str, Target], size: int) -> Row:
    rates = {name: median(target.rates) for name, target in targets.items()}
    wall = {f"{name}, by the clock": median(each.wall) for name, each in targets.items()}
    bare, cached, known = (rates[name] for name in targets)
    return Row(
        "Cached reads of one web process",
        f"GET /users/NAME of {size} bytes with a Bearer key; the bare FastAPI route has none."
        f" {CONNECTIONS} keep-alive connections, {PLACES}; per second of the server's processor"
        f" time, which a busy machine does not change; median of {ROUNDS} rounds in turns",
        {**rates, **wall},
        "/s",
        [
            Goal("cached profile", cached, ">=", 2000, "/s"),
            Goal("cached profile / bare route", ratio(cached, bare), ">=", 0.8),
            Goal("cached profile / not modified", ratio(cached, known), "<", 1),
        ],
    )


def _calm(stack: Stack, path: str, key: Mapping[str, str]) -> Row:
    """The same reads, few at a time, with and without lookups that hang at Instagram."""
    requests = {"cached profile": get_of(path, key), "/healthz": get_of(f"{stack.url}/healthz")}
    times: dict[str, list[float]] = {}

    def ask(when: str) -> None:
        for name, request in requests.items():
            answers = fetch(
                stack.port,
                [request],
                seconds=CALM_SECONDS,
                connections=CALM_CONNECTIONS,
                pause_seconds=CALM_PAUSE_SECONDS,
            )
            times.setdefault(f"{name}, {when}", []).append(answers.percentile_ms(0.99))

    stack.fake_instagram.fault("usernameinfo", delay_seconds=30, times=None)
    for _ in range(CALM_ROUNDS):
        ask("idle")
        with _hanging(stack):
            ask("hanging")
    p99 = {name: median(found) for name, found in times.items()}
    return Row(
        "p99 while Instagram hangs",
        f"{CALM_CONNECTIONS} connections that pause {1000 * CALM_PAUSE_SECONDS:.0f} ms; {WAITING}"
        " requests for other profiles wait meanwhile for lookups whose call hangs for 30 s, or"
        f" (idle) nobody does; {PLACES}; median of {CALM_ROUNDS} rounds in turns",
        p99,
        "ms",
        [
            Goal(
                f"{name}: hanging / idle",
                ratio(p99[f"{name}, hanging"], p99[f"{name}, idle"]),
                "<=",
                1.5,
            )
            for name in requests
        ],
    )


@contextmanager
def _hanging(stack: Stack) -> Iterator[None]:
    """Clients that wait for hanging lookups; the block ends when all were told to retry."""
    mark = uuid.uuid4().hex[:12]
    key = {"authorization": f"Bearer {stack.api_key}"}
    clients = [socket.create_connection(("127.0.0.1", stack.port), 10) for _ in range(WAITING)]
    for number, client in enumerate(clients):
        query = f"{stack.url}/users/{mark}.{number}?wait={WAIT_SECONDS}"
        client.sendall(get_of(query, key))
    until(lambda: _lookups(stack, mark) == WAITING, 20, "the lookups")
    yield
    for client in clients:
        assert client.recv(4096).startswith(b"HTTP/1.1 202"), "a lookup did not hang"
        client.close()


def _lookups(stack: Stack, mark: str) -> int:
    jobs = _get(stack, "/jobs?kind=lookup&limit=200")[0]["items"]
    return sum(job["to"].startswith(mark) for job in jobs)


def _look_up(stack: Stack) -> tuple[dict[str, Any], str]:
    """Look up a profile; return it and its ETag."""
    until(lambda: "ready for action" in stack.processes["worker"].log.read_text(), 30, "the worker")
    profile, headers = _get(stack, f"/users/{NAME}?wait=25")
    return profile, headers["etag"]


def _get(stack: Stack, path: str) -> tuple[dict[str, Any], Mapping[str, str]]:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    requests = urllib.request.Request(f"{stack.url}{path}", headers=headers)
    with urllib.request.urlopen(requests, timeout=30) as answer:
        return json.load(answer), answer.headers


@contextmanager
def _bare(profile: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """A bare FastAPI application that returns the same profile; yields its port and pid."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.baselines.bare", str(port), json.dumps(profile)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            until(lambda: _listens(port), 20, "the bare application")
            yield port, process.pid
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _busy_seconds(pid: int) -> float:
    """The processor time of a process so far, in seconds."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9
