"""Drafts of jobs from the bodies of requests."""

from __future__ import annotations

from service.api.schemas import JobRequest, invalid, utc_now
from service.dependencies import AppServices
from service.jobs.model import JobDraft
from service.network.ip_filter import IpFilter
from service.photos.photo_url import check_photo_url


def build_draft(body: JobRequest, services: AppServices) -> JobDraft:
    """Build the job draft of a JSON body.

    Parameters:
      body: The validated body.
      services: The services of the process.

    Raises:
      ApiError: 422; the message names the field.
    """
    if body.photo is not None:
        ip_filter = IpFilter(services.settings.photo_allow)
        allow_http = services.settings.callback_allow_http
        try:
            check_photo_url(body.photo, ip_filter, allow_http=allow_http)
        except ValueError as error:
            raise invalid("photo", str(error)) from None
    return body.draft(services.config, utc_now())
