"""`make run`: runs the stack until Ctrl-C."""

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
The stack is running. Its store and logs are in {directory} until the next start.

  send a paid event      .venv/bin/python -m deploy.local send checkout.session.completed
  send any file          .venv/bin/python -m deploy.local send path/to/event.json
  list the jobs          curl -s -H 'Authorization: Bearer {key}' {url}/jobs
  API documentation      {url}/docs
  DMs that arrived       curl -s {control}/dms
  have Instagram refuse  curl -s {control}/faults -d '{{"match": "comment", "effect": "hang"}}'
                         (docs/fake-instagram.md lists more situations)
  callbacks received     curl -s {receiver}/received

Example events: {events}
Press Ctrl-C to stop.
"""


def main() -> int:
    """Run the stack until SIGTERM or Ctrl-C."""
    directory = ROOT / ".local" / "run"
    signal.signal(signal.SIGTERM, _exit)
    with ExitStack() as resources:
        if not _acquire_lock(resources):
            print("a stack is already running from this checkout", file=sys.stderr)
            return 1
        shutil.rmtree(directory, ignore_errors=True)
        return _run_stack(directory)


def _acquire_lock(resources: ExitStack) -> bool:
    """Take the checkout's lock, which the process holds until it exits."""
    lock = ROOT / ".local" / "run.lock"
    lock.parent.mkdir(exist_ok=True)
    file = resources.enter_context(lock.open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _run_stack(directory: Path) -> int:
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
        finally:
            target.unlink()
    return 0


def target_of_running_stack() -> tuple[str, str] | None:
    """The webhook URL and signing secret of the running stack; None when there is none."""
    target = Path(ROOT / ".local" / "run" / "target")
    if not target.is_file():
        return None
    url, secret = target.read_text().split()
    return url, secret


def _exit(_signum: int, _frame: FrameType | None) -> None:
    sys.exit(0)
