"""All routes of the application, as its router has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI

from service.app import create_app
from service.config.config import parse_config
from tests.support.web import CONFIG, SOURCE_SECRETS, web_settings


def application() -> FastAPI:
    """The application, without what is in front of its router."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "heliograph.toml"
        path.write_text(CONFIG)
        settings = web_settings("redis://nowhere", path)
    app: Any = create_app(settings, parse_config(CONFIG), SOURCE_SECRETS)
    while not isinstance(app, FastAPI):
        app = app._app
    return app


def routes(router: Any) -> Iterator[tuple[str, Any]]:
    """Every route below a router by its method and path; WebSockets have the method WS."""
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from routes(route.original_router)
            continue
        for method in sorted(getattr(route, "methods", None) or ["WS"]):
            yield f"{method} {route.path}", route
