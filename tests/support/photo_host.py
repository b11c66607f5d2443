"""A server of photos, and of what is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Answer(NamedTuple):
    """What a path answers; `told` is whether it says how long it is."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    told: bool = True


class PhotoHost:
    """A running server.

    Parameters:
      port: Where it listens on loopback.
      answers: By path; may be changed at any time.
    """

    def __init__(self, port: int, answers: dict[str, Answer]) -> None:
        self.port = port
        self.answers = answers
        self.requested: list[str] = []

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Where a path is."""
        return f"http://{host}:{self.port}{path}"


@contextmanager
def photo_host(answers: Mapping[str, bytes | Answer]) -> Iterator[PhotoHost]:
    """Serve these answers until the block ends.

    Parameters:
      answers: By path; bytes are a photo that is there.
    """
    given = {
        path: each if isinstance(each, Answer) else Answer(each) for path, each in answers.items()
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.requested.append(self.path)
            answer = host.answers.get(self.path, Answer(status=404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.told:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with suppress(ConnectionError):  # who has had enough hangs up
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host = PhotoHost(server.server_address[1], given)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
