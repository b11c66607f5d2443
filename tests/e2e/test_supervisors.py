"""The Procfile under those who run Procfiles: honcho, and a plain supervisor."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.procfile import Process
from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import until


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Store, fake Instagram and receiver; the processes are somebody else's."""
    with Stack(tmp_path, processes=()) as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_honcho_starts_everything_and_stops_it_cleanly(
    stack: Stack, number: signal.Signals
) -> None:
    # Given the Procfile under honcho
    environ = stack.environ()
    honcho = Process("honcho", "honcho --no-colour start", environ, stack.directory / "honcho.log")
    try:
        until(stack.ready, 30, "readiness")
        until(lambda: "ready for action" in honcho.log.read_text(), 30, "the worker")
        # When honcho is told to stop
        honcho.signal(number)
        honcho.wait(25)
    finally:
        if honcho.returncode is None:
            honcho.kill()
    # Then every process ended by itself: nobody was killed
    said = honcho.log.read_text()
    assert "SIGKILL" not in said, said[-3000:]
    stopped = [line for line in said.splitlines() if "stopped (rc=" in line]
    assert len(stopped) == 3, said[-3000:]
    assert all("rc=0" in line or "rc=-15" in line or "rc=143" in line for line in stopped), stopped


@pytest.mark.parametrize("name", ["web", "worker", "scheduler"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_each_process_ends_well_however_it_is_told(
    stack: Stack, name: str, number: signal.Signals, group: bool
) -> None:
    process = stack.start(name)
    log = process.log.read_text
    ready: Mapping[str, Callable[[], bool]] = {
        "web": stack.ready,
        "worker": lambda: "ready for action" in log(),
        "scheduler": lambda: "scheduler started" in log(),
    }
    until(ready[name], 30, f"the {name}")
    for _ in range(3):
        process.signal(number, group=group)
    code = process.wait(25)
    # uvicorn re-raises the signal after its clean shutdown
    assert code in ((0, -int(number), 128 + int(number)) if name == "web" else (0,))
    assert "Traceback" not in process.log.read_text()


#: As the worker's boot goes on: what has been imported last, and what it says at its end.
BOOT = [
    "actors.dramatiq_async.shutdown",
    "service.config.settings",
    "actors.dramatiq_async.broker",
    "actors.runtime",
    "ready for action",
]


@pytest.mark.parametrize("moment", BOOT)
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_a_worker_that_is_told_to_stop_while_it_boots_ends_well(
    stack: Stack, moment: str, group: bool
) -> None:
    # Given a worker that says what it imports, as far as that
    worker = stack.start("worker", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    until(lambda: moment in worker.log.read_text(), 30, moment)
    # When it is told once, or as often as some platforms do
    for _ in range(3 if group else 1):
        worker.signal(signal.SIGTERM, group=group)
    # Then it ends by itself
    assert worker.wait(25) == 0, worker.log.read_text()[-2000:]
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize("moment", ["pendulum", "actors.runtime", "retention"])
def test_a_scheduler_ends_well_however_often_it_is_told(stack: Stack, moment: str) -> None:
    scheduler = stack.start("scheduler", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    until(lambda: moment in scheduler.log.read_text(), 30, moment)
    until(lambda: _told_again(scheduler), 25, "its end")
    assert scheduler.returncode == 0, scheduler.log.read_text()[-2000:]
    assert "Traceback" not in scheduler.log.read_text()


def test_honcho_with_a_short_stop_hands_a_write_back_and_it_is_made_once(stack: Stack) -> None:
    # Given the Procfile under honcho, which kills 5 s after the first process has ended
    environ = {**stack.environ(), "STOP_SECONDS": "3", "LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
    stack.fake_instagram.fault("broadcast_*", delay_seconds=30)
    with _honcho(stack, "first", environ) as honcho:
        hook = f"{stack.url}/webhooks/stripe"
        assert send(hook, stack.webhook_secret, event("checkout.session.completed")).status == 202
        until(lambda: stack.fake_instagram.log(call="broadcast_text"), 30, "the write")
        # When it stops with a write under way
        honcho.signal(signal.SIGTERM)
        honcho.wait(25)
        # Then nobody was killed
        said = honcho.log.read_text()
        assert "SIGKILL" not in said, said[-3000:]
        assert "handed back" in said
    # And the write is made once after all
    stack.fake_instagram.clear_faults()
    with _honcho(stack, "second", environ):
        until(stack.receiver.received, 60, "the callback")
        assert len(stack.fake_instagram.dms()) == 1


@contextmanager
def _honcho(stack: Stack, name: str, environ: Mapping[str, str]) -> Iterator[Process]:
    log = stack.directory / f"{name}.log"
    honcho = Process(name, "honcho --no-colour start", environ, log)
    try:
        until(stack.ready, 30, "readiness")
        yield honcho
    finally:
        # It has its processes in groups of their own: it has to end them itself.
        honcho.stop()


def _told_again(process: Process) -> bool:
    process.signal(signal.SIGTERM)
    return process.returncode is not None
