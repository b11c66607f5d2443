"""`dramatiq tests.chaos.worker`: the worker with failpoints and with marks at its logins."""

from __future__ import annotations

from actors.worker import broker
from tests.chaos.failpoints import (
    EXPORT_STEPS,
    FETCH_STEPS,
    LOGIN_STEPS,
    OPERATION_STEPS,
    PHOTO_STEPS,
    WORKER_STEPS,
    wrap_steps,
)
from tests.chaos.logins import mark_logins

__all__ = ["broker"]

mark_logins()
wrap_steps(WORKER_STEPS | LOGIN_STEPS | PHOTO_STEPS | FETCH_STEPS | EXPORT_STEPS | OPERATION_STEPS)
