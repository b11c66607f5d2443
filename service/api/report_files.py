"""The files of reports."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.model import Status
from service.reports.request import MEDIA_TYPES, ReportRequest


async def report_file(services: AppServices, job: dict[str, Any]) -> Response:
    """Respond with the file of a report.

    Parameters:
      services: The services of the process.
      job: The report as the API shows it.

    Raises:
      ApiError: 409, it has no file, or none yet; 410, the file is no longer kept.
    """
    if job["status"] != Status.SUCCEEDED:
        raise ApiError(409, "no_result", f"The report is {job['status']} and has no file.")
    file = await services.reports.load(job["id"])
    if file is None:
        message = (
            "The file of this report is no longer kept (BODY_RETENTION_DAYS after its end):"
            " make a new one."
        )
        raise ApiError(410, "result_gone", message)
    request = ReportRequest.of(job["report"])
    headers = {
        "Content-Disposition": f'attachment; filename="{request.file_name()}"',
    }
    return Response(file, 200, headers, MEDIA_TYPES[request.format])
