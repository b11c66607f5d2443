"""The `heliograph` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from service.commands import check
from service.process.core_dumps import disable_core_dumps


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters:
      argv: Arguments after the program's name; those of the process if None.

    Returns:
      The exit status: 0 for success, 1 for problems found, 2 for wrong usage.
    """
    disable_core_dumps()
    arguments = _parser().parse_args(argv)
    status: int = arguments.run(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heliograph",
        description="Webhooks in, Instagram DMs and comments at a human pace, callbacks out.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check_parser = commands.add_parser(
        "check",
        help="validate the configuration, and show which jobs an event would create",
        description="Validate the configuration, and show which jobs an event would create.",
    )
    check.add_arguments(check_parser)
    check_parser.set_defaults(run=check.run)
    doctor = commands.add_parser(
        "doctor",
        help="check the settings of Redis and the ledger, and repair the ledger",
        description="Check the settings of Redis and the ledger, and repair the ledger.",
    )
    doctor.add_argument("--repair", action="store_true", help="repair the problems found")
    doctor.set_defaults(run=_doctor)
    _add_session(commands)
    _add_secret(commands)
    _add_people(commands)
    return parser


def _sentence(about: str) -> str:
    # Not `capitalize()`, which makes `secret_key` of SECRET_KEY.
    return f"{about[:1].upper()}{about[1:]}."


def _add_session(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "show, import and export the Instagram session of an account"
    session = commands.add_parser("session", help=about, description=_sentence(about))
    session.set_defaults(run=_session)
    actions = session.add_subparsers(required=True, dest="action", metavar="ACTION")
    for action, task in (
        ("show", "show the stored session without its secrets"),
        ("import", "store a session written by dump_settings of aiograpi or instagrapi"),
        ("export", "write the stored session to a file; whoever has it controls the account"),
    ):
        parser = actions.add_parser(action, help=task, description=_sentence(task))
        parser.add_argument("name", metavar="NAME", help="the account in heliograph.toml")
        if action != "show":
            parser.add_argument("file", metavar="FILE", help="JSON; - for stdin or stdout")
    actions.choices["import"].add_argument(
        "--reset-device",
        action="store_true",
        help="replace the session even if it is another device's or user's, or cannot be read",
    )
    actions.choices["export"].add_argument(
        "--force", action="store_true", help="replace an existing file"
    )


def _add_people(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "show, export and erase what is kept about one person"
    people = commands.add_parser("people", help=about, description=_sentence(about))
    people.set_defaults(run=_people)
    actions = people.add_subparsers(required=True, dest="action", metavar="ACTION")
    for action, task in (
        ("show", "print everything that is kept, one JSON object a line"),
        ("export", "print everything that is kept as one JSON object"),
        ("erase", "erase everything but what keeps a message from being sent twice"),
    ):
        parser = actions.add_parser(action, help=task, description=_sentence(task))
        parser.add_argument("handle", metavar="HANDLE", help="a username, or pk: and a user id")


def _people(arguments: argparse.Namespace) -> int:
    from service.commands import people

    return people.run(arguments)


def _add_secret(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "re-encrypt what is stored with the first key of SECRET_KEY"
    secret = commands.add_parser("secret", help=about, description=_sentence(about))
    secret.set_defaults(run=_secret)
    actions = secret.add_subparsers(required=True, dest="action", metavar="ACTION")
    actions.add_parser("rotate", help=about, description=_sentence(about))


def _secret(_arguments: argparse.Namespace) -> int:
    from service.commands import secret

    return secret.rotate()


def _session(arguments: argparse.Namespace) -> int:
    from service.commands import session

    return session.run(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from service.commands import doctor

    return doctor.run(repair=arguments.repair)
