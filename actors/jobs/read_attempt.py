"""Attempts at jobs that only read: their call is charged with the claim, before it is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import Attempt
from actors.jobs.request_state import RequestState


class ReadAttempt(Attempt, ABC):
    """The work on one claim of a job that only reads; parameters as `Attempt`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # A login that fails has requested nothing of what was charged, which is given back.
        self._state = RequestState.NOT_SENT

    async def _act(self, gateway: Gateway) -> None:
        self._state = RequestState.READ_SENT
        self._recorder.prepaid_reads = 1
        await self._read(gateway)

    @abstractmethod
    async def _read(self, gateway: Gateway) -> None:
        """Make the call and record its result."""
