"""Reports: the numbers of a period as a PDF or CSV file, made by a worker."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from service.api.auth import JobsCaller, Services
from service.api.idempotency import CONFLICT, CREATED_HEADERS, IdempotencyKey, create_job_once
from service.api.models.answer import shown_as
from service.api.models.jobs import Job
from service.api.schemas import Metadata, Name, check_callback, invalid
from service.dependencies import AppServices
from service.jobs.model import REPORTS_QUEUE, JobDraft
from service.reports.request import ReportFormat, ReportRequest
from service.stats.period import InvalidPeriod, Period
from service.stats.summary import GroupBy

router = APIRouter(tags=["stats"])

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        **shown_as(Job),
        "description": "The report's job",
        "headers": CREATED_HEADERS,
    },
    409: CONFLICT,
}

Moment = Annotated[StrictStr, Field(max_length=40)]


class ReportBody(BaseModel):
    """Which numbers a report has; `from`, `to` and `by` as in `GET /stats`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"from": "2026-11-01", "to": "2026-11-30", "by": "rule", "format": "pdf"}]
        },
    )

    start: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="to")] = None
    by: GroupBy = "rule"
    format: ReportFormat
    callback: Name | None = None
    metadata: Metadata | None = None

    def draft(self, services: AppServices, now_ms: int) -> JobDraft:
        """Build the draft of the report's job.

        Parameters:
          services: The services of the process.
          now_ms: The store's time, Unix milliseconds.

        Raises:
          ApiError: 422; the message names the field.
        """
        check_callback(self.callback, services.config)
        try:
            period = Period.of(self.start, self.end, now_ms)
        except InvalidPeriod as error:
            raise invalid(error.field, error.message) from None
        return JobDraft(
            kind="report",
            account=REPORTS_QUEUE,
            to=None,
            post=None,
            text="",
            callback=self.callback,
            metadata=self.metadata,
            report=ReportRequest(period, self.by, self.format).document(),
        )


@router.post(
    "/reports",
    status_code=202,
    operation_id="create_report",
    summary="Make a report of what was sent and what failed",
    response_model=None,
    responses=_RESPONSES,
)
async def create_report(
    body: ReportBody,
    response: Response,
    caller: JobsCaller,
    services: Services,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Create a job that makes a report; `GET /jobs/{id}/result` returns its file."""
    request = json.dumps({"report": body.model_dump(mode="json")}, sort_keys=True)
    draft = body.draft(services, await services.stats.now_ms())
    return await create_job_once(services, draft, response, caller, idempotency_key, request)
