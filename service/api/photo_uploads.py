"""Jobs created together with an uploaded photo."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Scope

from service.api.auth import NarrowedJobsCaller, Services
from service.api.idempotency import IdempotencyKey, create_job_once
from service.api.multipart import JobUpload
from service.api.schemas import utc_now
from service.dependencies import AppServices
from service.http.body_limit import is_form
from service.http.errors import RETRY_AFTER_SECONDS, ApiError, EarlyErrorResponse
from service.http.request_body import BodyRejected
from service.jobs.model import JobDraft
from service.logging.setup import get_logger
from service.photos.converter import ConversionFailed, ConverterBusy
from service.photos.photo import PhotoRefused
from service.photos.spooled_file import SpooledFile

#: An upload may take this many times longer than another body.
UPLOAD_TIME_FACTOR: Final = 6
_RETRY_HEADERS: Final = {"Retry-After": str(RETRY_AFTER_SECONDS)}

_log = get_logger(__name__)


class MultipartRoute(APIRoute):
    """Matches multipart forms only, so that the JSON route of the same path gets the rest."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or not is_form(scope):
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(tags=["jobs"], route_class=MultipartRoute)


@router.post("/jobs", status_code=202, include_in_schema=False, response_model=None)
async def create_job_with_photo(
    request: Request,
    response: Response,
    caller: NarrowedJobsCaller,
    services: Services,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any] | Response:
    """Create a DM job with an uploaded photo."""
    seconds = UPLOAD_TIME_FACTOR * services.settings.body_seconds
    try:
        with services.photo_converter.reserve(), SpooledFile() as photo_file:
            draft, identity = await _receive_upload(request, services, photo_file, seconds)
    except BodyRejected as error:
        return EarlyErrorResponse(error.status, error.code, error.message, seconds)
    except ConverterBusy:
        message = "Too many photo uploads are in progress. Send it again."
        return EarlyErrorResponse(503, "too_many_uploads", message, seconds, _RETRY_HEADERS)
    except (ConversionFailed, OSError) as error:
        _log.error("photo processing failed", error=type(error).__name__, detail=str(error)[:200])
        message = "The photo could not be processed: see the log. No job was created."
        return EarlyErrorResponse(503, "photo_processing_failed", message, seconds, _RETRY_HEADERS)
    except ClientDisconnect:
        return Response(status_code=400)  # the request is incomplete, and nobody reads the response
    return await create_job_once(services, draft, response, caller, idempotency_key, identity)


async def _receive_upload(
    request: Request, services: AppServices, photo_file: SpooledFile, seconds: float
) -> tuple[JobDraft, str]:
    """Read the form; return the draft with its photo, and the request's identity.

    Two requests with one Idempotency-Key must have the same identity.
    """
    form = JobUpload(photo_file)
    await form.read(request, seconds)
    body = form.job()
    draft = body.draft(services.config, utc_now(), uploaded=True)
    try:
        photo = await services.photo_converter.convert(photo_file)
    except PhotoRefused as error:
        field = {"field": "photo", "message": error.message}
        message = f"photo: {error.message}"
        raise ApiError(422, error.code, message, fields=[field]) from None
    identity = body.model_dump(mode="json") | {"photo": photo.sha256}
    return draft._replace(photo=photo), json.dumps(identity, sort_keys=True)
