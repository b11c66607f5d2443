"""Which deliveries a caller wants to find. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from service.jobs.stored_names import DELIVERY_ATTEMPTS, stored_names

DeliveryStatus = Literal["pending", "delivering", "delivered", "failed"]


@dataclass(frozen=True)
class DeliveryFilter:
    """Which deliveries to find: those that meet everything that is given; None and () mean any.

    Parameters:
      statuses: They have one of these.
      callback: Name of the callback endpoint.
      type: What they report, such as `job.failed`.
      job_id: The job that they report.
      code: Why their last attempt failed.
      created_since_ms: Created at or after this, Unix milliseconds.
      created_until_ms: Created before this, Unix milliseconds.
    """

    statuses: tuple[DeliveryStatus, ...] = ()
    callback: str | None = None
    type: str | None = None
    job_id: str | None = None
    code: str | None = None
    created_since_ms: int | None = None
    created_until_ms: int | None = None

    def query(self) -> dict[str, Any]:
        """What find_deliveries.lua is told of it."""
        asked = {
            "statuses": self.statuses,
            "callback": self.callback,
            "type": self.type,
            "job": self.job_id,
            "codes": stored_names(DELIVERY_ATTEMPTS, self.code),
            "since": self.created_since_ms,
            "until": self.created_until_ms,
        }
        return {name: value for name, value in asked.items() if value not in (None, (), [])}
