"""Failpoints: at a named step a process signals itself or the store, once, if a test has set it.

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

#: A directory; a file in it, named after a step, sets that failpoint: signal number and target pid.
VARIABLE: Final = "CHAOS_FAILPOINTS"
_ITSELF: Final = 0


class Failpoint(NamedTuple):
    """A method that a failpoint is attached to.

    Parameters:
      module: The module of the classes.
      owners: The classes.
      method: A coroutine method of theirs.
      when: Before the call, after it, or after it returned something other than None (a claim may
        find nothing to do).
    """

    module: str
    owners: tuple[str, ...]
    method: str
    when: Literal["before", "after", "after success"]


_CLAIMS: Final = ("service.jobs.claims", ("Claims",))
_SESSIONS: Final = ("actors.instagram.session_manager", ("SessionManager",))
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
#: Steps of a photo DM only: nobody sees its upload, everybody sees its write.
PHOTO_STEPS: Final[dict[str, Failpoint]] = {
    "before the upload": Failpoint("actors.jobs.photo_dm", ("PhotoMessage",), "upload", "before"),
    "after the upload": Failpoint("actors.jobs.photo_dm", ("PhotoMessage",), "upload", "after"),
    "after the photo": Failpoint("actors.jobs.photo_dm", ("PhotoMessage",), "write", "after"),
}
_PHOTOS: Final = ("service.jobs.photo_store", ("PhotoStore",))
#: Steps of the fetch of a photo by URL.
FETCH_STEPS: Final[dict[str, Failpoint]] = {
    "before a fetch is claimed": Failpoint(*_PHOTOS, "claim_fetch", "before"),
    "after a fetch is claimed": Failpoint(*_PHOTOS, "claim_fetch", "after success"),
    "after a photo is fetched": Failpoint(
        "actors.egress.photo_fetcher", ("PhotoFetcher",), "fetch", "after"
    ),
    "after a photo is stored": Failpoint(*_PHOTOS, "save", "after"),
}
#: Steps of one page of a follower export.
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
_OPERATIONS: Final = ("service.operations.store", ("Operations",))
#: Steps of an operation on many jobs.
OPERATION_STEPS: Final[dict[str, Failpoint]] = {
    "before some of many are done": Failpoint(*_OPERATIONS, "advance", "before"),
    "after some of many are done": Failpoint(*_OPERATIONS, "advance", "after"),
}
WEB_STEPS: Final[dict[str, Failpoint]] = {
    "before accept": Failpoint("service.jobs.ledger", ("Ledger",), "accept", "before"),
    "after accept": Failpoint("service.jobs.ledger", ("Ledger",), "accept", "after"),
}
#: Steps of a login, of which an account should have one: the password creates a session.
LOGIN_STEPS: Final[dict[str, Failpoint]] = {
    "before login": Failpoint(*_SESSIONS, "_login", "before"),
    "before the password": Failpoint(*_CLIENT, "bloks_caa_login_send_request", "before"),
    "after the password": Failpoint(*_CLIENT, "bloks_caa_login_send_request", "after"),
    "before the session is saved": Failpoint(*_CLIENT, "login", "after"),
    "after login": Failpoint(*_SESSIONS, "_login", "after"),
}


def set_failpoint(
    directory: Path, step: str, number: signal.Signals = signal.SIGKILL, victim: int = _ITSELF
) -> Path:
    """Set a failpoint for the first process that reaches it.

    Parameters:
      directory: The processes' CHAOS_FAILPOINTS.
      step: One of the steps above.
      number: The signal to send.
      victim: The process id to signal; 0 for the process itself.

    Returns:
      The failpoint's file; it is deleted when the failpoint triggers.
    """
    failpoint = directory / step
    _marker(failpoint).unlink(missing_ok=True)
    failpoint.write_text(f"{int(number)} {victim}")
    return failpoint


def triggering_group(failpoint: Path) -> int | None:
    """The process group that triggered a failpoint; None until then."""
    marker = _marker(failpoint)
    return int(marker.read_text() or 0) if marker.exists() else None


def clear_failpoints(directory: Path, victim: int) -> None:
    """Remove the failpoints that target a dead process, whose id another may get.

    Parameters:
      directory: The processes' CHAOS_FAILPOINTS.
      victim: The process id.
    """
    for failpoint in directory.iterdir():
        with suppress(FileNotFoundError):
            if failpoint.read_text().endswith(f" {victim}"):
                failpoint.unlink()


def wrap_steps(steps: dict[str, Failpoint]) -> None:
    """Wrap the methods so that they check their failpoints."""
    directory = Path(os.environ[VARIABLE])
    for step, place in steps.items():
        for owner in place.owners:
            kind = getattr(__import__(place.module, fromlist=[owner]), owner)
            method = getattr(kind, place.method)
            setattr(kind, place.method, _wrapped(method, directory / step, place.when))


def _wrapped(
    inner: Callable[..., Awaitable[Any]], failpoint: Path, when: str
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(inner)
    async def stepped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            _trigger(failpoint)
        result = await inner(*args, **kwargs)
        if when == "after" or (when == "after success" and result is not None):
            _trigger(failpoint)
        return result

    return stepped


def _trigger(failpoint: Path) -> None:
    try:
        number, victim = map(int, failpoint.read_text().split())
        failpoint.unlink()
    except (FileNotFoundError, ValueError):
        return  # not set, or another process was first
    _marker(failpoint).write_text(str(os.getpgrp()))
    if victim == _ITSELF:
        # Not `os.kill`: the main thread receives a signal to the process, and until that thread is
        # scheduled (0.1 s later on a busy machine) this one runs on past its failpoint.
        signal.pthread_kill(threading.get_ident(), number)
        return
    with suppress(ProcessLookupError):
        os.kill(victim, number)


def _marker(failpoint: Path) -> Path:
    return failpoint.with_suffix(".triggered")
