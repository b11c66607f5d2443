"""The Procfile under honcho, and its processes under a plain supervisor."""

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
    """Store, fake Instagram and receiver; the tests start the processes."""
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
    # Then every process exited by itself
    output = honcho.log.read_text()
    assert "SIGKILL" not in output, output[-3000:]
    stopped = [line for line in output.splitlines() if "stopped (rc=" in line]
    assert len(stopped) == 3, output[-3000:]
    assert all("rc=0" in line or "rc=-15" in line or "rc=143" in line for line in stopped), stopped


@pytest.mark.parametrize("name", ["web", "worker", "scheduler"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_each_process_exits_cleanly_however_it_is_signaled(
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


#: Moments of the worker's boot: the module imported last, and its final message.
BOOT = [
    "actors.dramatiq_async.shutdown",
    "service.config.settings",
    "actors.dramatiq_async.broker",
    "actors.runtime",
    "ready for action",
]


@pytest.mark.parametrize("moment", BOOT)
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_a_worker_that_is_stopped_while_it_boots_exits_cleanly(
    stack: Stack, moment: str, group: bool
) -> None:
    # Given a worker that logs its imports, up to this one
    worker = stack.start("worker", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    until(lambda: moment in worker.log.read_text(), 30, moment)
    # When it is signaled once, or several times as some platforms do
    for _ in range(3 if group else 1):
        worker.signal(signal.SIGTERM, group=group)
    # Then it exits by itself
    assert worker.wait(25) == 0, worker.log.read_text()[-2000:]
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize("moment", ["pendulum", "actors.runtime", "retention"])
def test_a_scheduler_exits_cleanly_however_often_it_is_signaled(stack: Stack, moment: str) -> None:
    scheduler = stack.start("scheduler", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    until(lambda: moment in scheduler.log.read_text(), 30, moment)
    until(lambda: _signal_again(scheduler), 25, "its end")
    assert scheduler.returncode == 0, scheduler.log.read_text()[-2000:]
    assert "Traceback" not in scheduler.log.read_text()


def test_a_write_handed_back_under_a_short_stop_is_made_once(stack: Stack) -> None:
    # Given the Procfile under honcho, which kills 5 s after the first process has exited
    environ = {**stack.environ(), "STOP_SECONDS": "3", "LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
    stack.fake_instagram.fault("broadcast_*", delay_seconds=30)
    with _honcho(stack, "first", environ) as honcho:
        hook = f"{stack.url}/webhooks/stripe"
        assert send(hook, stack.webhook_secret, event("checkout.session.completed")).status == 202
        until(lambda: stack.fake_instagram.log(call="broadcast_text"), 30, "the write")
        # When it stops with a write in progress
        honcho.signal(signal.SIGTERM)
        honcho.wait(25)
        # Then no process was killed
        output = honcho.log.read_text()
        assert "SIGKILL" not in output, output[-3000:]
        assert "interrupted" in output
    # And the write is made once by the next worker
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
        # Its processes are in their own groups, so that only honcho can end them.
        honcho.stop()


def _signal_again(process: Process) -> bool:
    process.signal(signal.SIGTERM)
    return process.returncode is not None
