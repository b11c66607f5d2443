"""`python -m deploy.local demo|run|send EVENT`."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from pathlib import Path

from deploy.local import demo, run
from deploy.local.sender import event, send


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("demo", help="the main job, once").set_defaults(run=lambda _: demo.main())
    commands.add_parser("run", help="the stack, kept up").set_defaults(run=lambda _: run.main())
    sending = commands.add_parser("send", help="send an event to the stack that runs")
    sending.add_argument("event", help="a name from deploy/local/events, or a file")
    sending.set_defaults(run=_send)
    arguments = parser.parse_args()
    status: int = arguments.run(arguments)
    return status


def _send(arguments: argparse.Namespace) -> int:
    target = run.target_of_running_stack()
    if target is None:
        print("no stack runs; start one with `make run`", file=sys.stderr)
        return 1
    url, secret = target
    path = Path(arguments.event)
    # A named example is a new event each time; a file is sent as it is.
    document = path if path.is_file() else event(arguments.event, id=f"evt_{uuid.uuid4().hex}")
    answer = send(url, secret, document)
    print(answer.status, json.dumps(answer.body))
    return 0 if answer.status < 300 else 1


if __name__ == "__main__":
    sys.exit(main())
