"""Photos that come with the request for their job."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Scope

from service.api.auth import Caller, WebParts
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

#: A photo may take so many times longer to arrive than another body.
UPLOAD_TIME_FACTOR: Final = 6
_TOO_MANY_UPLOADS: Final = {"Retry-After": str(RETRY_AFTER_SECONDS)}

_log = get_logger(__name__)


class MultipartRoute(APIRoute):
    """Takes what the route of the same path for JSON does not: forms."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match forms only."""
        if scope["type"] != "http" or not is_form(scope):
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(tags=["jobs"], route_class=MultipartRoute)


@router.post("/jobs", status_code=202, include_in_schema=False, response_model=None)
async def create_with_photo(
    request: Request,
    response: Response,
    caller: Caller,
    web: WebParts,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any] | Response:
    """Ask for a DM that is a photo; see the route for JSON."""
    seconds = UPLOAD_TIME_FACTOR * web.settings.body_seconds
    try:
        with web.photo_converter.reserve(), SpooledFile() as incoming:
            draft, identity = await _receive_upload(request, web, incoming, seconds)
    except BodyRejected as refused:
        return EarlyErrorResponse(refused.status, refused.code, refused.message, seconds)
    except ConverterBusy:
        message = "As many photos are under way as may be at a time. Send it again."
        return EarlyErrorResponse(503, "photos_busy", message, seconds, _TOO_MANY_UPLOADS)
    except (ConversionFailed, OSError) as error:
        _log.error("photo processing failed", error=type(error).__name__, detail=str(error)[:200])
        message = "The photo could not be looked at here: see the log. Nothing was created."
        return EarlyErrorResponse(503, "photo_not_taken", message, seconds, _TOO_MANY_UPLOADS)
    except ClientDisconnect:
        return Response(status_code=400)  # half a request is none, and nobody is left to read it
    return await create_job_once(web, draft, response, caller, idempotency_key, identity)


async def _receive_upload(
    request: Request, web: AppServices, incoming: SpooledFile, seconds: float
) -> tuple[JobDraft, str]:
    """Read a form; the draft with its photo, and what two requests must share to be the same."""
    form = JobUpload(incoming)
    await form.read(request, seconds)
    asked = form.job()
    draft = asked.draft(web.config, utc_now(), uploaded=True)
    try:
        photo = await web.photo_converter.convert(incoming)
    except PhotoRefused as refused:
        field = {"field": "photo", "message": refused.message}
        message = f"photo: {refused.message}"
        raise ApiError(422, refused.code, message, fields=[field]) from None
    same = asked.model_dump(mode="json") | {"photo": photo.sha256}
    return draft._replace(photo=photo), json.dumps(same, sort_keys=True)
