"""`python -m service.web` serves the web application.

The settings and the configuration file are checked once before any server process starts, so that
a mistake is one line and not a crash loop.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from service.config.bootstrap import boot
from service.events.sources import check_sources
from service.http.connections import listen_backlog
from service.http.http_protocol import BoundedHttpProtocol
from service.http.websocket_protocol import BoundedWebSocketProtocol
from service.live.subscriptions import HEARTBEAT_SECONDS
from service.process.file_limits import open_file_limit, raise_file_limit

#: Options of uvicorn, in production and in the tests.
SERVING: Final[Mapping[str, Any]] = {
    "loop": "uvloop",
    "http": BoundedHttpProtocol,
    "ws": BoundedWebSocketProtocol,
    # Subscribers send nothing, and a per-client compressor uses more memory than the client.
    "ws_max_size": 4096,
    "ws_per_message_deflate": False,
    "ws_ping_interval": HEARTBEAT_SECONDS,
    "ws_ping_timeout": HEARTBEAT_SECONDS,
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": 20,
    "timeout_keep_alive": 75,
}


def main() -> int:
    """Serve until a shutdown signal."""
    import uvicorn

    raise_file_limit()
    settings, config = boot()
    try:
        check_sources(config.sources, os.environ)
    except ValueError as error:
        sys.exit(f"heliograph cannot start: {error}")
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host="0.0.0.0",
        port=settings.port,
        workers=settings.web_concurrency,
        forwarded_allow_ips=settings.trusted_proxies,
        backlog=listen_backlog(open_file_limit()),
        **SERVING,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
