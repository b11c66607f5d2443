"""A load in a process of its own, which can be pinned to another core than its parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Final

from deploy.local.procfile import ROOT
from tests.bench.cores import pin
from tests.bench.load import Load, Timings, run

_SECRET: Final = "LOAD_SECRET"
_READY: Final = b"ready\n"


class Prepared:
    """A load in a process of its own, prepared and waiting to start.

    Parameters:
      load: The load.
      core: The core of its process; by default that of this process.
    """

    def __init__(self, load: Load, core: int | None = None) -> None:
        options = {name: value for name, value in asdict(load).items() if name != "secret"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.generator"],
            cwd=ROOT,
            env={**os.environ, _SECRET: load.secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if core is not None:
            pin(self._process.pid, core)
        self._write_line(json.dumps(options))
        assert self._process.stdout is not None
        if self._process.stdout.readline() != _READY:
            raise RuntimeError("the load could not be prepared")

    def begin(self) -> None:
        """Start the load."""
        self._write_line("begin")

    def timings(self) -> Timings:
        """Wait for the end; return the timings."""
        output, _ = self._process.communicate()
        return Timings(**json.loads(output))

    def drop(self) -> None:
        """Kill it, whatever is in progress."""
        self._process.kill()
        self._process.communicate()

    def _write_line(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()


def fire(load: Load, core: int | None = None) -> Timings:
    """Run a load in a process of its own.

    Parameters:
      load: The load.
      core: The core of its process; by default that of this process.
    """
    prepared = Prepared(load, core)
    prepared.begin()
    return prepared.timings()


def main() -> None:
    """Prepare the load on the first line of input, run it at the second, print its timings."""
    load = Load(**json.loads(sys.stdin.readline()), secret=os.environ[_SECRET])

    def wait() -> None:
        sys.stdout.write(_READY.decode())
        sys.stdout.flush()
        sys.stdin.readline()

    sys.stdout.write(json.dumps(asdict(run(load, wait))))


if __name__ == "__main__":
    main()
