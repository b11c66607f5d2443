"""Attempts that read and write nothing: their call is charged with the claim, before it is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import Attempt


class ReadAttempt(Attempt, ABC):
    """The work on one claim of a job that only reads; parameters as `Attempt`."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._recorder.request_not_sent = True

    async def _act(self, gateway: Gateway) -> None:
        # A login that failed before this has asked for nothing: what was charged is given back.
        self._recorder.request_not_sent = False
        self._recorder.prepaid_reads = 1
        await self._read(gateway)

    @abstractmethod
    async def _read(self, gateway: Gateway) -> None:
        """Make the call, and record what came of it."""
