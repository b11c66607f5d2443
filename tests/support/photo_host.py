"""A server of photos and of other files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Answer(NamedTuple):
    """The response of a path; `with_length` is whether it has a Content-Length."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    with_length: bool = True


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
        """The URL of a path."""
        return f"http://{host}:{self.port}{path}"


@contextmanager
def photo_host(answers: Mapping[str, bytes | Answer]) -> Iterator[PhotoHost]:
    """Serve these answers until the block ends.

    Parameters:
      answers: By path; bytes are the body of a 200.
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
            if answer.with_length:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with suppress(ConnectionError):  # the client may hang up early
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host = PhotoHost(server.server_address[1], given)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
