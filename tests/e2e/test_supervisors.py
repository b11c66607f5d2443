"""The Procfile under those who run Procfiles: honcho, and a plain supervisor."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.procfile import Process
from deploy.local.stack import Stack
from deploy.local.waiting import until


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Store, stand-in and receiver; the processes are somebody else's."""
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
    ready = {"web": "startup complete", "worker": "ready for action", "scheduler": "scheduler"}
    until(lambda: ready[name] in process.log.read_text(), 30, f"the {name}")
    for _ in range(3):
        process.signal(number, group=group)
    code = process.wait(25)
    # uvicorn re-raises the signal after its clean shutdown
    assert code in ((0, -int(number), 128 + int(number)) if name == "web" else (0,))
    assert "Traceback" not in process.log.read_text()
