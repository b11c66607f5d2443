"""The web application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import clear_contextvars

from service import VERSION
from service.api import (
    accounts,
    challenges,
    deliveries,
    events,
    followers,
    health,
    jobs,
    live,
    lookups,
    metrics,
    photo_uploads,
    previews,
    sessions,
    suppressions,
    webhooks,
)
from service.api.lookup_fast_path import CachedLookupMiddleware
from service.api.webhook_fast_path import WebhookFastPath
from service.config.bootstrap import boot
from service.config.config import Config
from service.config.settings import Settings
from service.dependencies import create_services
from service.http import errors
from service.http.body_limit import BodyLimitMiddleware
from service.process.garbage_collection import freeze_gc
from service.process.shutdown_signals import on_shutdown_signal

_DESCRIPTION = (
    "Stripe-style webhooks in; Instagram DMs, comments and look-ups done once and at a human pace;"
    " signed completion callbacks out."
)

#: Whose routes there are.
_ROUTERS: Final = (
    webhooks,
    photo_uploads,  # before jobs: it takes the forms of the same path
    jobs,
    live,
    previews,
    followers,  # before look-ups: those take whatever comes after `/users/`
    lookups,
    events,
    deliveries,
    accounts,
    challenges,
    sessions,
    suppressions,
    health,
    metrics,
)


def create_app(
    settings: Settings | None = None,
    config: Config | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ASGIApp:
    """Make the application.

    Parameters:
      settings: From the environment where not given.
      config: From the file that the settings name where not given.
      environ: Where the sources' secrets are.
    """
    own_process = settings is None or config is None
    if settings is None or config is None:
        settings, config = boot(environ)
    checked_settings, checked_config = settings, config

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        web = create_services(checked_settings, checked_config, environ)
        app.state.web = web
        if own_process:
            freeze_gc()
        with on_shutdown_signal(web.stopping):
            async with web.reporter.reporting():
                yield
            await web.close()

    app = FastAPI(
        title="Heliograph",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        responses=errors.ANY_ERROR,
    )
    for room in _ROUTERS:
        app.include_router(room.router)
    app.add_middleware(BodyLimitMiddleware, seconds=settings.body_seconds)
    app.add_middleware(LogContextMiddleware)
    app.add_middleware(CachedLookupMiddleware)
    errors.register_error_handlers(app)
    return WebhookFastPath(app)


class LogContextMiddleware:
    """Starts every request without the ids that an earlier one bound to its log lines.

    Parameters:
      app: The application around which it stands.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Clear, then go on."""
        clear_contextvars()
        await self._app(scope, receive, send)
