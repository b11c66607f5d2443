"""Child processes that say on their first line of output where they can be reached."""

from __future__ import annotations

import http.client
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 20.0
_STOP_SECONDS = 10.0
_REQUEST_SECONDS = 30.0


class ChildProcess:
    """A `python -m` process, from its ready line to its end.

    It gets a pipe for standard input, whose end tells it that its parent is gone.

    Parameters:
        module: what follows `python -m`.
        arguments: what follows the module.
        secrets: environment variables for it alone; unlike arguments, `ps` does not show them.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], secrets: Mapping[str, str] | None = None
    ) -> None:
        self._module = module
        self._last_complaints = ""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=_ROOT,
            env={**os.environ, **(secrets or {}), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        try:
            self.ready = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def complaints(self) -> str:
        """What it has written to standard error so far; a quiet process has written nothing."""
        if self._errors.closed:
            return self._last_complaints
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode("utf-8", "replace")

    def stop(self) -> int:
        """End it with SIGTERM, or with SIGKILL if that takes too long; returns its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._last_complaints = self.complaints()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()
        return code

    def _wait_until_ready(self) -> dict[str, str]:
        """Read the ready line.

        Raises:
            RuntimeError: if it does not come; the message carries what the process complained of.
        """
        lines: queue.Queue[bytes] = queue.Queue()
        output = self._process.stdout
        assert output is not None
        threading.Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=_READY_SECONDS)
            ready: dict[str, str] = json.loads(line)
        except (queue.Empty, ValueError) as exc:
            raise RuntimeError(f"{self._module} did not start:\n{self.complaints()}") from exc
        return ready


class RunningChildProcess:
    """A child process that ends with its `with` block."""

    def __init__(self, child: ChildProcess) -> None:
        self.child = child

    def close(self) -> int:
        """End the process; returns its exit code."""
        return self.child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def request_json(url: str, method: str, path: str, body: object | None = None) -> Any:
    """One JSON request to a loopback server; environment proxies are not asked.

    Raises:
        ValueError: if the server refuses the request; the message is the server's.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(address.hostname), address.port, timeout=_REQUEST_SECONDS
    )
    try:
        payload = None if body is None else json.dumps(body).encode()
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
    finally:
        connection.close()
    if response.status >= 400:
        raise ValueError(f"{method} {path}: {answer.get('error', response.status)}")
    return answer
