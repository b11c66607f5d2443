"""The real web application on a loopback port, with clients for the tests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import redis
import uvicorn

from deploy.local.wait import until
from service.app import create_app
from service.config.config import parse_config
from service.config.settings import Settings, load_settings
from service.signatures.verify import SCHEMES
from service.web import SERVING
from tests.support.encryption import SECRET_KEY
from tests.support.openapi import check_answer
from tests.support.store import restore_marks
from tests.support.webhook_signatures import SECRETS, signed_headers

T = TypeVar("T")

API_KEY, OTHER_KEY = "the-first-caller's-own-key", "the-other-caller's-own-key"
#: Keys of less rights, by the scope that each has.
KEY_OF = {
    "read": "a-key-that-may-only-look",
    "jobs": "a-key-that-may-send-something",
    "accounts": "a-key-that-may-stop-accounts",
    "admin": "a-key-for-what-is-of-everybody",
}
SCOPED_KEYS = ",".join(f"{name}:{key}:{name}" for name, key in KEY_OF.items())
MAX_BODY = 64 * 1024

#: The variables that hold the sources' secrets.
SOURCE_SECRETS = {
    f"{scheme.replace('-', '_').upper()}_SECRET": SECRETS[scheme] for scheme in SCHEMES
}

_SOURCE = """
[sources.{scheme}]
scheme = "{scheme}"
secrets = ["env:{variable}"]

[[rules]]
name = "{scheme}-order"
source = "{scheme}"
event = "order.paid"
action = "dm"
account = "shop"
to = "some.handle"
text = "Thank you!"
callback = "crm"
"""
CONFIG = """
[sources.rotating]
scheme = "stripe"
secrets = ["env:NEVER_SET", "env:STRIPE_SECRET"]

[sources.unset]
scheme = "stripe"
secrets = ["env:NEVER_SET"]

[sources.empty]
scheme = "stripe"
secrets = []

[sources.live]
scheme = "stripe"
secrets = ["env:STRIPE_SECRET"]
livemode = true

[accounts.shop]
username = "env:INSTAGRAM_USERNAME"
password = "env:INSTAGRAM_PASSWORD"

[accounts.reader]
username = "reader"
password = "env:INSTAGRAM_PASSWORD"
role = "read"

[callbacks.crm]
url = "env:CALLBACK_URL"
secrets = ["env:CALLBACK_SECRET"]

[[rules]]
name = "thank-you"
source = "stripe"
event = "checkout.session.completed"
when = "object.payment_status == 'paid'"
action = "dm"
account = "shop"
to = "{{ object.custom_fields | field('instagram') }}"
text = "Thank you, {{ object.customer_details.name }}!"
once_per = "{{ object.payment_intent }}"

[[rules]]
name = "live-order"
source = "live"
event = "*"
action = "dm"
account = "shop"
to = "some.handle"
text = "Thank you!"
""" + "".join(
    _SOURCE.format(scheme=scheme, variable=variable)
    for scheme, variable in zip(SCHEMES, SOURCE_SECRETS, strict=True)
)


def web_settings(redis_url: str, config: Path, **changes: str) -> Settings:
    """Settings as an environment would give them.

    Parameters:
      changes: Environment variables, by name.
    """
    return load_settings(
        {
            "REDIS_URL": redis_url,
            "HELIOGRAPH_CONFIG": str(config),
            "SECRET_KEY": SECRET_KEY,
            "API_KEYS": f"first:{API_KEY},other:{OTHER_KEY},{SCOPED_KEYS}",
            "MAX_BODY_BYTES": str(MAX_BODY),
            "BODY_SECONDS": "0.4",
            # Never report: one server's reports would be in the stores of all its tests.
            "METRICS_SECONDS": "3600",
            **changes,
        }
    )


@contextmanager
def run_web(redis_url: str, directory: Path, config: str = CONFIG, **changes: str) -> Iterator[int]:
    """Serve the application as production does, in a thread; yields its port.

    Parameters:
      config: The heliograph.toml.
      changes: Environment variables, by name.
    """
    path = directory / "heliograph.toml"
    path.write_text(config)
    settings = web_settings(redis_url, path, **changes)
    app = create_app(settings, parse_config(config), SOURCE_SECRETS)
    options = {**SERVING, "timeout_graceful_shutdown": 3}
    server = uvicorn.Server(uvicorn.Config(app, **options))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        until(lambda: server.started)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


def order(scheme: str, event_id: str = "evt_1", **more: Any) -> bytes:
    """An event that matches the scheme's own rule.

    Parameters:
      scheme: The sender's scheme.
      event_id: Its id, if the body has one.
      more: More keys of the document.
    """
    documents: Mapping[str, dict[str, Any]] = {
        "stripe": {"id": event_id, "type": "order.paid", "data": {"object": {"n": 1}}},
        "paddle": {"event_id": event_id, "event_type": "order.paid", "data": {"n": 1}},
        "slack": {
            "type": "event_callback",
            "event_id": event_id,
            "event": {"type": "order.paid"},
        },
        "standard-webhooks": {"type": "order.paid", "data": {"n": 1}},
    }
    return json.dumps({**documents.get(scheme, {"n": 1}), **more}).encode()


@dataclass(frozen=True)
class WebHarness:
    """The application, its store and clients of both.

    Parameters:
      port: Its port.
      store: Its store.
      http: A client without credentials.
      api: A client with the first API key.
    """

    port: int
    store: redis.Redis
    http: httpx.Client = field(repr=False)
    api: httpx.Client = field(repr=False)

    def deliver(
        self,
        scheme: str,
        body: bytes,
        *,
        source: str | None = None,
        event_id: str = "evt_1",
        event_type: str = "order.paid",
        timestamp: int | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> httpx.Response:
        """Sign a body as a scheme's sender does and send it.

        Parameters:
          source: The source to send to; by default the scheme's own.
          headers: More headers.
        """
        signed = signed_headers(
            scheme,
            body,
            SECRETS[scheme],
            timestamp=timestamp,
            event_id=event_id,
            event_type=event_type,
        )
        raw = {**signed, **(headers or {})}
        pairs = [
            (name.encode(), value.encode() if isinstance(value, str) else value)
            for name, value in raw.items()
        ]
        return self.http.post(f"/webhooks/{source or scheme}", content=body, headers=pairs)

    def contents(self) -> dict[bytes, bytes | None]:
        """Everything in the store, for comparison."""
        return contents(self.store)

    def connect(self) -> socket.socket:
        """A raw connection to the server."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


def contents(store: redis.Redis) -> dict[bytes, bytes | None]:
    """Every key of a store with its serialized value, except counters and high-water marks."""
    keys = sorted(set(store.scan_iter()) - {b"hg:counters", b"hg:marks"})
    return {key: store.dump(key) for key in keys}


@contextmanager
def connect(port: int, store: redis.Redis) -> Iterator[WebHarness]:
    """Open clients of a server."""
    base = f"http://127.0.0.1:{port}"
    bearer = {"Authorization": f"Bearer {API_KEY}"}
    # Every answer that a test gets is one that the documentation announces.
    options: Any = {"trust_env": False, "timeout": 15, "event_hooks": {"response": [check_answer]}}
    with (
        httpx.Client(base_url=base, **options) as http_client,
        httpx.Client(base_url=base, headers=bearer, **options) as api_client,
    ):
        yield WebHarness(port, store, http_client, api_client)


@contextmanager
def connect_again(port: int, store: redis.Redis) -> Iterator[WebHarness]:
    """Open clients of a server that has been running since before the store was emptied."""
    restore_marks(store)
    with connect(port, store) as found:
        yield found


def read_response(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one response: status, headers in lower case, body."""
    # Read not a byte beyond this response: the next one may have arrived already.
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _received(connection, 1)
    status, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    body = _received(connection, int(headers["content-length"]))
    return int(status.split(" ")[1]), headers, body


def _received(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        assert part, "the connection ended in the middle of a response"
        found += part
    return found


@pytest.fixture(scope="session")
def web_port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of one application for all tests of this process."""
    with run_web(store_url, tmp_path_factory.mktemp("web")) as port:
        yield port


@pytest.fixture
def web(web_port: int, store: redis.Redis) -> Iterator[WebHarness]:
    """The application over an empty store."""
    with connect_again(web_port, store) as found:
        yield found
