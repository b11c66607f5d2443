"""`python -m deploy.local demo|run|send EVENT`."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from pathlib import Path
from typing import Any, Final

from deploy.local import demo, run
from deploy.local.sender import EVENTS, event, send

EXAMPLES: Final = sorted(path.stem for path in EVENTS.glob("*.json"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("demo", help="run the main job once").set_defaults(
        run=lambda _: demo.main()
    )
    commands.add_parser("run", help="run the stack until Ctrl-C").set_defaults(
        run=lambda _: run.main()
    )
    sending = commands.add_parser("send", help="send an event to the running stack")
    sending.add_argument("event", help="a name from deploy/local/events, or a file")
    sending.set_defaults(run=_send)
    arguments = parser.parse_args()
    status: int = arguments.run(arguments)
    return status


def _send(arguments: argparse.Namespace) -> int:
    target = run.target_of_running_stack()
    if target is None:
        print("no stack is running; start one with `make run`", file=sys.stderr)
        return 1
    url, secret = target
    try:
        answer = send(url, secret, _document(arguments.event))
    except FileNotFoundError:
        print(f"no such event: {arguments.event}; examples: {', '.join(EXAMPLES)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"the stack does not answer ({error}); is `make run` up?", file=sys.stderr)
        return 1
    print(answer.status, json.dumps(answer.body))
    return 0 if answer.status < 300 else 1


def _document(name: str) -> dict[str, Any] | Path:
    """A file unchanged, or an example as a new event about a new payment."""
    path = Path(name)
    if path.is_file():
        return path
    suffix = uuid.uuid4().hex
    document = event(name, id=f"evt_{suffix}")
    if "payment_intent" in document["data"]["object"]:
        document["data"]["object"]["payment_intent"] = f"pi_{suffix}"
    return document


if __name__ == "__main__":
    sys.exit(main())
