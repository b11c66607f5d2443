"""Traps: at a named step a process strikes itself or the store, once, when a test has set the trap.

The processes under test are the real ones; only the module that starts them differs
(`tests.chaos.worker`, `tests.chaos.web`), and only by what is wrapped here.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

#: Directory in which a file named after a step is a set trap: a signal's number, and whom it hits.
VARIABLE: Final = "CHAOS_TRAPS"
_ITSELF: Final = 0


class Failpoint(NamedTuple):
    """Where a trap is.

    Parameters:
      module: Where the classes are.
      owners: The classes.
      method: Their coroutine method.
      when: Before it, after it has returned, or after it has returned something (a claim may find
        nothing to do).
    """

    module: str
    owners: tuple[str, ...]
    method: str
    when: Literal["before", "after", "after success"]


_CLAIMS: Final = ("service.jobs.claims", ("Claims",))
_KEEPER: Final = ("actors.instagram.session_manager", ("SessionManager",))
_CLIENT: Final = ("actors.instagram.client", ("InstagramClient",))

WORKER_STEPS: Final[dict[str, Failpoint]] = {
    "before claim": Failpoint(*_CLAIMS, "claim", "before"),
    "after claim": Failpoint(*_CLAIMS, "claim", "after success"),
    "before intent": Failpoint(*_CLAIMS, "record_intent", "before"),
    "after intent": Failpoint(*_CLAIMS, "record_intent", "after"),
    "after the write": Failpoint(
        "actors.jobs.writes", ("DirectMessage", "Comment"), "write", "after"
    ),
    "before finish": Failpoint(*_CLAIMS, "finish", "before"),
    "after finish": Failpoint(*_CLAIMS, "finish", "after"),
    "before callback": Failpoint(
        "actors.egress.callback_client", ("CallbackClient",), "post", "before"
    ),
    "mid-callback": Failpoint(
        "actors.egress.callback_client", ("CallbackClient",), "post", "after"
    ),
    "after callback": Failpoint("service.deliveries.store", ("Deliveries",), "record", "after"),
}
#: Steps that only a photo takes: its upload is seen by nobody, its write is.
PHOTO_STEPS: Final[dict[str, Failpoint]] = {
    "before the upload": Failpoint("actors.jobs.photo_dm", ("PhotoMessage",), "upload", "before"),
    "after the upload": Failpoint("actors.jobs.photo_dm", ("PhotoMessage",), "upload", "after"),
    "after the photo": Failpoint("actors.jobs.photo_dm", ("PhotoMessage",), "write", "after"),
}
#: Steps of one page of a walk.
EXPORT_STEPS: Final[dict[str, Failpoint]] = {
    "before a page is read": Failpoint(
        "actors.instagram.gateway", ("Gateway",), "follower_page", "before"
    ),
    "after a page is read": Failpoint(
        "actors.instagram.gateway", ("Gateway",), "follower_page", "after"
    ),
    "after what is new is known": Failpoint(
        "service.followers.rows", ("FollowerRows",), "deduplicate", "after"
    ),
    "before a page is kept": Failpoint(*_CLAIMS, "append_follower_page", "before"),
    "after a page is kept": Failpoint(*_CLAIMS, "append_follower_page", "after"),
}
WEB_STEPS: Final[dict[str, Failpoint]] = {
    "before accept": Failpoint("service.jobs.ledger", ("Ledger",), "accept", "before"),
    "after accept": Failpoint("service.jobs.ledger", ("Ledger",), "accept", "after"),
}
#: Steps of a login, which an account takes once: the password is what Instagram makes a session of.
LOGIN_STEPS: Final[dict[str, Failpoint]] = {
    "before login": Failpoint(*_KEEPER, "_login", "before"),
    "before the password": Failpoint(*_CLIENT, "bloks_caa_login_send_request", "before"),
    "after the password": Failpoint(*_CLIENT, "bloks_caa_login_send_request", "after"),
    "before the session is saved": Failpoint(*_CLIENT, "login", "after"),
    "after login": Failpoint(*_KEEPER, "_login", "after"),
}


def set_failpoint(
    directory: Path, step: str, number: signal.Signals = signal.SIGKILL, victim: int = _ITSELF
) -> Path:
    """Set a trap for whichever process comes by first.

    Parameters:
      directory: The processes' CHAOS_TRAPS.
      step: One of the steps above.
      number: The signal that the process sends there.
      victim: To which process id; 0 is to itself.

    Returns:
      The trap; it is gone when it has sprung.
    """
    trap = directory / step
    _marker(trap).unlink(missing_ok=True)
    trap.write_text(f"{int(number)} {victim}")
    return trap


def triggering_group(trap: Path) -> int | None:
    """The process group of who came by a trap; None as long as nobody did."""
    visit = _marker(trap)
    return int(visit.read_text() or 0) if visit.exists() else None


def clear_failpoints(directory: Path, victim: int) -> None:
    """Take the traps away that are for a process which is no more: its id may become another's.

    Parameters:
      directory: The processes' CHAOS_TRAPS.
      victim: The process id.
    """
    for trap in directory.iterdir():
        with suppress(FileNotFoundError):
            if trap.read_text().endswith(f" {victim}"):
                trap.unlink()


def wrap_steps(steps: dict[str, Failpoint]) -> None:
    """Wrap the methods so that they look for traps."""
    directory = Path(os.environ[VARIABLE])
    for step, place in steps.items():
        for owner in place.owners:
            kind = getattr(__import__(place.module, fromlist=[owner]), owner)
            method = getattr(kind, place.method)
            setattr(kind, place.method, _wrapped(method, directory / step, place.when))


def _wrapped(
    inner: Callable[..., Awaitable[Any]], trap: Path, when: str
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(inner)
    async def stepped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            _trigger(trap)
        result = await inner(*args, **kwargs)
        if when == "after" or (when == "after success" and result is not None):
            _trigger(trap)
        return result

    return stepped


def _trigger(trap: Path) -> None:
    try:
        number, victim = map(int, trap.read_text().split())
        trap.unlink()
    except (FileNotFoundError, ValueError):
        return  # no trap, or another process was first
    _marker(trap).write_text(str(os.getpgrp()))
    if victim == _ITSELF:
        # Not `os.kill`: a signal to the process is taken by its main thread, and until that thread
        # is scheduled (0.1 s later on a busy machine) this one goes on past its failpoint.
        signal.pthread_kill(threading.get_ident(), number)
        return
    with suppress(ProcessLookupError):
        os.kill(victim, number)


def _marker(trap: Path) -> Path:
    return trap.with_suffix(".visit")
