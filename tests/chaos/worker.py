"""`dramatiq tests.chaos.worker`: the worker with traps at its steps."""

from __future__ import annotations

from actors.worker import broker
from tests.chaos.traps import WORKER_STEPS, wrap_steps

__all__ = ["broker"]

wrap_steps(WORKER_STEPS)
