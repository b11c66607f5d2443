"""The `heliograph` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from service.commands import check


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters:
      argv: Arguments after the program's name; the process' own when None.

    Returns:
      The exit status: 0 for success, 1 for problems found, 2 for a wrong call.
    """
    arguments = _parser().parse_args(argv)
    status: int = arguments.run(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heliograph",
        description="Webhooks in, Instagram DMs and comments at a human pace, callbacks out.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    checking = commands.add_parser(
        "check",
        help="check the configuration, and show what it would make of an event",
        description="Check the configuration, and show what it would make of an event.",
    )
    check.add_arguments(checking)
    checking.set_defaults(run=check.run)
    examining = commands.add_parser(
        "doctor",
        help="check Redis and the ledger, and repair what can be",
        description="Check Redis and the ledger, and repair what can be.",
    )
    examining.add_argument("--repair", action="store_true", help="repair what is found")
    examining.set_defaults(run=_doctor)
    _add_session(commands)
    return parser


def _add_session(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "show, import and export the Instagram session of an account"
    session = commands.add_parser("session", help=about, description=f"{about.capitalize()}.")
    session.set_defaults(run=_session)
    actions = session.add_subparsers(required=True, dest="action", metavar="ACTION")
    for action, task in (
        ("show", "what is stored for an account, without its secrets"),
        ("import", "store what dump_settings of aiograpi or instagrapi wrote"),
        ("export", "write the stored session to a file: whoever has it is the account"),
    ):
        parser = actions.add_parser(action, help=task, description=f"{task.capitalize()}.")
        parser.add_argument("name", metavar="NAME", help="the account in heliograph.toml")
        if action != "show":
            parser.add_argument("file", metavar="FILE", help="JSON; - for stdin or stdout")
    actions.choices["import"].add_argument(
        "--reset-device",
        action="store_true",
        help="replace even another device's or user's session, or one that cannot be read",
    )
    actions.choices["export"].add_argument(
        "--force", action="store_true", help="replace the file if there is one"
    )


def _session(arguments: argparse.Namespace) -> int:
    from service.commands import session

    return session.run(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from service.commands import doctor

    return doctor.run(repair=arguments.repair)
