"""Traps: a process ends (or freezes) itself at a named step, once, when the test has set the trap.

The processes under test are the real ones; only the module that starts them differs
(`tests.chaos.worker`, `tests.chaos.web`), and only by what is wrapped here.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

#: Directory in which a file named after a step is a set trap; its content is the signal's name.
VARIABLE: Final = "CHAOS_TRAPS"

#: Where traps are: module, classes, their method, and whether before or after it.
Place = tuple[str, tuple[str, ...], str, str]

WORKER_STEPS: Final[dict[str, Place]] = {
    "before claim": ("service.jobs.claims", ("Claims",), "claim", "before"),
    "after claim": ("service.jobs.claims", ("Claims",), "claim", "after"),
    "before intent": ("service.jobs.claims", ("Claims",), "intend", "before"),
    "after intent": ("service.jobs.claims", ("Claims",), "intend", "after"),
    "after the write": ("actors.actions", ("DirectMessage", "Comment"), "write", "after"),
    "before finish": ("service.jobs.claims", ("Claims",), "finish", "before"),
    "after finish": ("service.jobs.claims", ("Claims",), "finish", "after"),
    "before callback": ("actors.exchange", ("Exchange",), "post", "before"),
    "mid-callback": ("actors.exchange", ("Exchange",), "post", "after"),
    "after callback": ("service.outbound.deliveries", ("Deliveries",), "record", "after"),
}
WEB_STEPS: Final[dict[str, Place]] = {
    "before accept": ("service.jobs.ledger", ("Ledger",), "accept", "before"),
    "after accept": ("service.jobs.ledger", ("Ledger",), "accept", "after"),
}


def set_trap(directory: Path, step: str, number: signal.Signals = signal.SIGKILL) -> Path:
    """Set a trap for whichever process comes by first.

    Parameters:
      directory: The processes' CHAOS_TRAPS.
      step: One of the steps above.
      number: What the process does to itself.

    Returns:
      The trap; it is gone when it has sprung.
    """
    trap = directory / step
    trap.write_text(str(int(number)))
    return trap


def wrap_steps(steps: dict[str, Place]) -> None:
    """Wrap the methods so that they look for traps."""
    directory = Path(os.environ[VARIABLE])
    for step, (module, owners, method, when) in steps.items():
        for owner in owners:
            kind = getattr(__import__(module, fromlist=[owner]), owner)
            setattr(kind, method, _wrapped(getattr(kind, method), directory / step, when))


def _wrapped(
    inner: Callable[..., Awaitable[Any]], trap: Path, when: str
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(inner)
    async def stepped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            _spring(trap)
        result = await inner(*args, **kwargs)
        if when == "after" and result is not None:
            _spring(trap)
        return result

    return stepped


def _spring(trap: Path) -> None:
    try:
        number = int(trap.read_text())
        trap.unlink()
    except (FileNotFoundError, ValueError):
        return  # no trap, or another process was first
    os.kill(os.getpid(), number)
