"""What a report is about, and its files' formats. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from service.stats.period import HOUR_MS, Period
from service.stats.summary import GroupBy

ReportFormat = Literal["pdf", "csv"]
MEDIA_TYPES: Final[dict[str, str]] = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True)
class ReportRequest:
    """What a report is about, as its job keeps and shows it.

    Parameters:
      period: The hours whose numbers it has.
      by: What its table has a line for.
      format: Of its file.
    """

    period: Period
    by: GroupBy
    format: ReportFormat

    def document(self) -> dict[str, Any]:
        """The request as its job shows it."""
        return {
            "from": self.period.start_at,
            "to": self.period.end_at,
            "by": self.by,
            "format": self.format,
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Read what `document` has made."""
        period = Period(_hour(document["from"]), _hour(document["to"]))
        return cls(period, document["by"], document["format"])

    def file_name(self) -> str:
        """A name for its file: plain ASCII, with the first and the last day."""
        *_, last = self.period.days()
        first = self.period.start_at[:10]
        return f"heliograph-{self.by}-{first}-{last.isoformat()}.{self.format}"


def _hour(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000) // HOUR_MS
