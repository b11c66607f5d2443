"""The Procfile's own processes, started as a platform starts them: a shell line each."""

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
    """The command of every process.

    Parameters:
      path: The Procfile.
    """
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition(":") for line in lines if line and not line.startswith("#"))
    return {name.strip(): command.strip() for name, _, command in pairs}


class Process:
    """One process, with its output in a file.

    Parameters:
      name: What to call it.
      command: A shell line.
      environ: Its whole environment.
      log: Where its output goes; appended to.
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
        """Its process id, which is also its group's."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Signal the process, or its whole group as some platforms do."""
        if self.returncode is None:
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end and tell how it ended."""
        return self._process.wait(seconds)

    def stop(self, seconds: float = 30) -> int:
        """End it as a platform does: SIGTERM, then SIGKILL for the group."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Kill it with everything it started."""
        self.signal(signal.SIGKILL, group=True)
        return self.wait()
