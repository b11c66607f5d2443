"""`make run`: the stack, kept up until Ctrl-C."""

from __future__ import annotations

import fcntl
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from deploy.local.procfile import ROOT
from deploy.local.sender import EVENTS
from deploy.local.stack import Stack

_HELP = """
The stack is up. Its store is kept in {directory} until the next start; logs are there too.

  send a paid event      .venv/bin/python -m deploy.local send checkout.session.completed
  ... or any file        .venv/bin/python -m deploy.local send path/to/event.json
  what it did            curl -s -H 'Authorization: Bearer {key}' {url}/jobs
  the API's page         {url}/docs
  DMs that arrived       curl -s {control}/dms
  callbacks received     curl -s {receiver}/received

events to send: {events}
Ctrl-C ends it.
"""


def main() -> int:
    """Keep the stack up until told to stop."""
    directory = ROOT / ".local" / "run"
    signal.signal(signal.SIGTERM, _end)
    with ExitStack() as held:
        if not _only_one(held):
            print("a stack runs from this checkout already", file=sys.stderr)
            return 1
        shutil.rmtree(directory, ignore_errors=True)
        return _keep_up(directory)


def _only_one(held: ExitStack) -> bool:
    """Take the checkout's lock; it goes with the process."""
    lock = ROOT / ".local" / "run.lock"
    lock.parent.mkdir(exist_ok=True)
    file = held.enter_context(lock.open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _keep_up(directory: Path) -> int:
    with Stack(directory) as stack:
        target = directory / "target"
        target.touch(mode=0o600)
        target.write_text(f"{stack.url}/webhooks/stripe\n{stack.webhook_secret}\n")
        print(
            _HELP.format(
                directory=directory,
                key=stack.api_key,
                url=stack.url,
                control=stack.fake_instagram.control_url,
                receiver=stack.receiver.control_url,
                events=", ".join(sorted(path.stem for path in EVENTS.glob("*.json"))),
            ),
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("\nstopping ...")
        target.unlink()
    return 0


def target_of_running_stack() -> tuple[str, str] | None:
    """Where the stack that runs takes events, and its secret; None when none was started."""
    target = Path(ROOT / ".local" / "run" / "target")
    if not target.is_file():
        return None
    url, secret = target.read_text().split()
    return url, secret


def _end(_signum: int, _frame: FrameType | None) -> None:
    sys.exit(0)
