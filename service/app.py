"""The web application."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from service import VERSION
from service.api import (
    accounts,
    bulk,
    callback_openapi,
    challenges,
    deliveries,
    docs,
    event_replays,
    events,
    followers,
    health,
    jobs,
    live,
    lookups,
    metrics,
    operations,
    people,
    photo_uploads,
    previews,
    reports,
    sessions,
    stats,
    suppressions,
    webhooks,
)
from service.api.lookup_fast_path import CachedLookupMiddleware
from service.api.masking import MaskingMiddleware
from service.api.openapi import DEFAULT_RESPONSES, DocumentedApi
from service.api.query_parameters import refuse_unknown_parameters
from service.api.store_errors import register_store_errors
from service.api.webhook_fast_path import WebhookFastPath
from service.config.bootstrap import boot
from service.config.config import Config
from service.config.settings import Settings
from service.dependencies import create_services
from service.http import errors
from service.http.body_limit import BodyLimitMiddleware
from service.http.connections import CONNECTIONS
from service.http.encoded_slashes import EncodedSlashMiddleware
from service.http.head_requests import HeadMiddleware
from service.http.request_ids import RequestIdMiddleware
from service.jobs.durability_check import warn_unless_durable
from service.process.garbage_collection import collect_less_often, freeze_gc
from service.process.shutdown_signals import on_shutdown_signal
from service.redis.causes import forget_changes

_DESCRIPTION = (
    "Receives Stripe-style webhooks, sends Instagram DMs and comments once and at a human pace,"
    " looks up profiles and posts, and sends signed callbacks."
)

ROUTERS: Final = (
    webhooks,
    photo_uploads,  # before jobs: it takes multipart forms on the same path
    jobs,
    bulk,
    operations,
    live,
    previews,
    followers,  # before lookups, which take any path below `/users/`
    lookups,
    event_replays,
    events,
    deliveries,
    accounts,
    challenges,
    sessions,
    suppressions,
    stats,
    reports,
    people,
    health,
    metrics,
    docs,
)


def create_api(lifespan: Lifespan[FastAPI] | None = None) -> DocumentedApi:
    """Create the API without what is around it: its routes and their documentation."""
    api = DocumentedApi(
        title="Heliograph",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # `api/docs.py` has it and its pages
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=DEFAULT_RESPONSES,
        separate_input_output_schemas=False,  # answers are documented, not validated
    )
    api.webhooks.include_router(callback_openapi.router)
    for module in ROUTERS:
        api.include_router(module.router)
    # Senders add parameters of their own to webhooks; what counts there is the signed body.
    refuse_unknown_parameters(api, exempt=webhooks.router.routes)
    return api


def create_app(
    settings: Settings | None = None,
    config: Config | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ASGIApp:
    """Create the ASGI application.

    Parameters:
      settings: Loaded from the environment if None.
      config: Loaded from the file that the settings name if None.
      environ: Has the secrets of the sources.
    """
    own_process = settings is None or config is None
    if settings is None or config is None:
        settings, config = boot(environ)
    app = create_api(_lifespan(settings, config, environ, own_process=own_process))
    _add_middleware(app, settings)
    return WebhookFastPath(app)


def _lifespan(
    settings: Settings, config: Config, environ: Mapping[str, str], *, own_process: bool
) -> Lifespan[FastAPI]:
    """Opens the services when the server starts, and closes them when it stops.

    Parameters:
      own_process: Whether the process does nothing else, so that its garbage collection may be set.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        services = create_services(settings, config, environ)
        app.state.services = services
        if own_process:
            freeze_gc()
            collect_less_often()
        # In the background: the process serves while Redis does not answer.
        checking = asyncio.create_task(warn_unless_durable(services.client, settings.durability))
        with on_shutdown_signal(services.stopping):
            async with services.reporter.reporting():
                yield {CONNECTIONS: services.connections}
            checking.cancel()
            await services.close()

    return lifespan


def _add_middleware(app: DocumentedApi, settings: Settings) -> None:
    """Add what is around the routes, from the inside out."""
    routes = [route for module in ROUTERS for route in module.router.routes]
    app.add_middleware(MaskingMiddleware)
    app.add_middleware(BodyLimitMiddleware, seconds=settings.body_seconds)
    app.add_middleware(ChangesMiddleware)
    app.add_middleware(CachedLookupMiddleware)
    app.add_middleware(EncodedSlashMiddleware, routes=routes)
    errors.register_error_handlers(app)
    register_store_errors(app)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(RequestIdMiddleware)  # around all others: errors have the id, too


class ChangesMiddleware:
    """Forgets what the previous request of the connection has changed in the store.

    Parameters:
      app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        forget_changes()
        await self._app(scope, receive, send)
