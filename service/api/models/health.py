"""Health as it is answered."""

from __future__ import annotations

from typing import Literal

from service.api.models.answer import Answer


class Health(Answer):
    """The process responds."""

    status: Literal["ok"]
    version: str


class Readiness(Answer):
    """Webhooks would be recorded."""

    status: Literal["ok"]
