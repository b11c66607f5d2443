"""Reports as their jobs show them."""

from __future__ import annotations

from pydantic import Field

from service.api.models.answer import JOB_ID, Answer, Time, example
from service.reports.request import ReportFormat
from service.stats.summary import GroupBy


class ReportSpec(Answer):
    """What a report is about."""

    model_config = example(
        **{"from": "2026-11-01T00:00:00.000Z", "to": "2026-12-01T00:00:00.000Z"},
        by="rule",
        format="pdf",
    )

    start: Time = Field(alias="from", description="The hour with which its period begins")
    end: Time = Field(alias="to", description="The end of its last hour")
    by: GroupBy
    format: ReportFormat


class ReportResult(Answer):
    """A report that was made; its file is at `result_url`."""

    model_config = example(
        format="pdf",
        bytes=7632,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        result_url=f"/jobs/{JOB_ID}/result",
    )

    format: ReportFormat
    bytes: int = Field(description="The size of the file")
    sha256: str = Field(description="Its hash, in hex")
    result_url: str
