"""Starts the Procfile's processes as a platform does: each as a shell command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def procfile_commands(path: Path = ROOT / "Procfile") -> dict[str, str]:
    """Parse a Procfile into the command of each process."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition(":") for line in lines if line and not line.startswith("#"))
    return {name.strip(): command.strip() for name, _, command in pairs}


class Process:
    """One process, with its output in a file.

    Parameters:
      name: Its name.
      command: A shell command.
      environ: Its entire environment.
      log: The file its output is appended to.
      root: The directory to run it in.
    """

    def __init__(
        self, name: str, command: str, environ: Mapping[str, str], log: Path, root: Path = ROOT
    ) -> None:
        self.name = name
        self.log = log
        path = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                f"exec {command}",
                shell=True,
                cwd=root,
                env={**environ, "PATH": path},
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the process, or to its whole group as some platforms do."""
        if self.returncode is None:
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end; returns its exit code."""
        return self._process.wait(seconds)

    def stop(self, seconds: float = 30) -> int:
        """Stop it as a platform does: SIGTERM, then SIGKILL to the group; returns its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Kill it and everything it started; returns its exit code."""
        self.signal(signal.SIGKILL, group=True)
        return self.wait()
