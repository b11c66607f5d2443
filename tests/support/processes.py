"""Runs one of the Procfile's processes and captures its output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class ExitedProcess:
    """How a process exited.

    Parameters:
      code: Its exit code, negative for a signal.
      out: Its standard output.
      err: Its standard error.
      seconds: How long it ran.
    """

    code: int
    out: str
    err: str
    seconds: float


def command(name: str) -> str:
    """The shell command of one of the Procfile's processes."""
    lines = (line.partition(":") for line in (ROOT / "Procfile").read_text().splitlines())
    return f"exec {next(line.strip() for process, _, line in lines if process == name)}"


def process_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment with nothing of this process' but PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "PYTHONUNBUFFERED": "1", **environ}


def run_to_exit(name: str, environ: Mapping[str, str], seconds: float = 30) -> ExitedProcess:
    """Run a process that exits by itself.

    Parameters:
      name: Its name in the Procfile.
      environ: Its environment variables.
      seconds: The longest it may run.
    """
    started = time.monotonic()
    done = subprocess.run(
        command(name),
        shell=True,
        cwd=ROOT,
        env=process_environ(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return ExitedProcess(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


@contextmanager
def running(
    name: str, environ: Mapping[str, str], log: Path, open_files: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the end of the block; kill its group if it still runs then.

    Parameters:
      name: Its name in the Procfile.
      environ: Its environment variables.
      log: The file for its output.
      open_files: How many it may have; by default what this process may have.
    """
    limit = f"ulimit -n {open_files}; " if open_files else ""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            limit + command(name),
            shell=True,
            cwd=ROOT,
            env=process_environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
