"""A server of photos and of other files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple

#: Between two bytes of an answer that drips.
DRIP_SECONDS: Final = 0.1


class Answer(NamedTuple):
    """The response of a path.

    Parameters:
      body: What it sends.
      status: Its status.
      headers: Further headers.
      with_length: Whether it has a Content-Length.
      drips: Whether bytes without end follow the body, one at a time.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    with_length: bool = True
    drips: bool = False


#: An answer that no client hears the end of.
DRIPPING: Final = Answer(b"\xff\xd8", with_length=False, drips=True)


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
        self.closing = threading.Event()
        #: Cleared by a test that has the server wait before it answers.
        self.answering = threading.Event()
        self.answering.set()

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
            host.answering.wait()
            answer = host.answers.get(self.path, Answer(status=404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.with_length:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with suppress(ConnectionError):  # the client may hang up early
                self.wfile.write(answer.body)
                while answer.drips and not host.closing.wait(DRIP_SECONDS):
                    self.wfile.write(b"\0")

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host = PhotoHost(server.server_address[1], given)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            host.closing.set()
            host.answering.set()
            server.shutdown()
            thread.join()
