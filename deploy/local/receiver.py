"""A callback receiver: verifies each callback with the official library, records it and responds.

`python -m deploy.local.receiver --port 0 --secret whsec_...`; every path except the control paths
(`/healthz`, `/received`, `/answers`) accepts callbacks. Without a scripted response, a verified
callback gets 204 and any other 401.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from deploy.local.child_process import ChildProcess, RunningChildProcess, request_json
from deploy.local.received_callbacks import ReceivedCallback, ReceivedCallbacks, ScriptedResponse

_MODULE = "deploy.local.receiver"
_SECRETS_VARIABLE = "RECEIVER_SECRETS"
_DRIP_BYTES: Final = b"." * 20


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/healthz":
            self._reply_json({"status": "ok"})
        elif path.path == "/received":
            _, _, since = path.query.partition("since=")
            self._reply_json({"items": self.server.callbacks.received(int(since or 0))})
        else:
            self._receive_callback()

    def do_DELETE(self) -> None:
        if self.path == "/received":
            self.server.callbacks.clear_received()
        elif self.path == "/answers":
            self.server.callbacks.clear_responses()
        self._reply_json({})

    def do_POST(self) -> None:
        if self.path == "/answers":
            self._add_response()
        else:
            self._receive_callback()

    def do_PUT(self) -> None:
        self._receive_callback()

    def _add_response(self) -> None:
        try:
            self.server.callbacks.add_response(json.loads(self._body()))
        except (TypeError, ValueError) as exc:
            self._reply_json({"error": str(exc)}, 400)
        else:
            self._reply_json({})

    def _receive_callback(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = self.server.callbacks.record(self.command, self.path, headers, self._body())
        response = self.server.callbacks.response_for(received)
        if response.hang:
            # Wait until the sender times out and disconnects.
            self.rfile.read(1)
            self.close_connection = True
            return
        if response.delay_seconds:
            time.sleep(response.delay_seconds)
        status = response.status or (204 if received["verified"] else 401)
        received["status"] = status
        self._respond(status, response)

    def _respond(self, status: int, response: ScriptedResponse) -> None:
        body = _DRIP_BYTES if response.drip_seconds else response.body.encode()
        self.send_response(status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status == 204:
            return
        if not response.drip_seconds:
            self.wfile.write(body)
            return
        for byte in body:
            time.sleep(response.drip_seconds / len(body))
            self.wfile.write(bytes([byte]))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply_json(self, value: object, status: int = 200) -> None:
        payload = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing; `GET /received` shows everything."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, callbacks: ReceivedCallbacks) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.callbacks = callbacks

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore senders that disconnect; report any other error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Receiver(RunningChildProcess):
    """A receiver in a child process, stopped at the end of the `with` block.

    Parameters:
        secrets: the endpoint's signing secret, exactly as configured; several during rotation.
        port: a loopback port; 0 for any free one.
    """

    def __init__(self, *secrets: str, port: int = 0) -> None:
        arguments = ["--port", str(port), "--end-with-parent"]
        super().__init__(ChildProcess(_MODULE, arguments, {_SECRETS_VARIABLE: " ".join(secrets)}))

    @property
    def url(self) -> str:
        """The URL that accepts callbacks."""
        return self.child.ready["url"]

    @property
    def control_url(self) -> str:
        """The base URL of `/received` and `/answers`."""
        return self.child.ready["control"]

    def received(self, since: int = 0) -> list[ReceivedCallback]:
        """The callbacks after this sequence number, oldest first."""
        received: list[ReceivedCallback] = self._request("GET", f"/received?since={since}")["items"]
        return received

    def answer(self, **script: object) -> None:
        """Script a response; the parameters are those of `ScriptedResponse`."""
        self._request("POST", "/answers", script)

    def clear_answers(self) -> None:
        """Remove all scripted responses."""
        self._request("DELETE", "/answers")

    def reset(self) -> None:
        """Remove all scripted responses and received callbacks."""
        self.clear_answers()
        self._request("DELETE", "/received")

    def _request(self, method: str, path: str, body: object | None = None) -> Any:
        return request_json(self.child.ready["control"], method, path, body)


def _end_with_parent(server: _Server) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        continue
    server.shutdown()


def _in_background(target: Any, *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def main() -> None:
    """Receive callbacks until SIGTERM or SIGINT; prints one JSON line when ready."""
    parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--secret",
        action="append",
        help=f"repeatable; default: {_SECRETS_VARIABLE} (space-separated)",
    )
    parser.add_argument("--end-with-parent", action="store_true", help="stop when stdin ends")
    arguments = parser.parse_args()
    secrets = arguments.secret or os.environ.get(_SECRETS_VARIABLE, "").split()
    with _Server(arguments.port, ReceivedCallbacks(secrets)) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for serve_forever(), which runs in this thread.
            signal.signal(number, lambda *_: _in_background(server.shutdown))
        if arguments.end_with_parent:
            _in_background(_end_with_parent, server)
        url = f"http://127.0.0.1:{server.server_port}"
        print(json.dumps({"url": f"{url}/callbacks", "control": url}), flush=True)
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
