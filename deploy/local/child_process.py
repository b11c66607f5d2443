"""Child processes whose first line of output says where they can be reached."""

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
    """A `python -m` process, started and waited for until its ready line.

    Its standard input is a pipe; end of file tells the child that its parent has exited.

    Parameters:
        module: the module to run.
        arguments: its command line arguments.
        secrets: environment variables for this child only; unlike arguments, `ps` does not show
            them.

    Raises:
        RuntimeError: the ready line did not come; the message contains its standard error.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], secrets: Mapping[str, str] | None = None
    ) -> None:
        self._module = module
        self._final_stderr = ""
        self._stderr_file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=_ROOT,
            env={**os.environ, **(secrets or {}), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr_file,
        )
        try:
            self.ready = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def stderr(self) -> str:
        """Everything written to standard error so far."""
        if self._stderr_file.closed:
            return self._final_stderr
        size = os.fstat(self._stderr_file.fileno()).st_size
        return os.pread(self._stderr_file.fileno(), size, 0).decode("utf-8", "replace")

    def stop(self) -> int:
        """Stop it with SIGTERM, after 10 s with SIGKILL; returns its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._final_stderr = self.stderr()
        for pipe in (self._process.stdin, self._process.stdout, self._stderr_file):
            if pipe is not None:
                pipe.close()
        return code

    def _wait_until_ready(self) -> dict[str, str]:
        lines: queue.Queue[bytes] = queue.Queue()
        output = self._process.stdout
        assert output is not None
        threading.Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=_READY_SECONDS)
            ready: dict[str, str] = json.loads(line)
        except (queue.Empty, ValueError) as exc:
            raise RuntimeError(f"{self._module} did not start:\n{self.stderr()}") from exc
        return ready


class RunningChildProcess:
    """A child process that is stopped at the end of its `with` block."""

    def __init__(self, child: ChildProcess) -> None:
        self.child = child

    def close(self) -> int:
        """Stop the process; returns its exit code."""
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
    """Send a JSON request to a loopback server, ignoring proxies in the environment.

    Raises:
        ValueError: the server returned an error; the message is the server's.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(address.hostname), address.port, timeout=_REQUEST_SECONDS
    )
    try:
        payload = None if body is None else json.dumps(body).encode()
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        document = json.loads(response.read() or b"{}")
    finally:
        connection.close()
    if response.status >= 400:
        raise ValueError(f"{method} {path}: {document.get('error', response.status)}")
    return document
