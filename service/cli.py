"""The `heliograph` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from service import check


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
        help="examine the store and the ledger, and mend what can be",
        description="Examine the store and the ledger, and mend what can be.",
    )
    examining.add_argument("--repair", action="store_true", help="mend what is found")
    examining.set_defaults(run=_doctor)
    return parser


def _doctor(arguments: argparse.Namespace) -> int:
    from service import doctor  # its imports are heavy, and `check` wants none of them

    return doctor.run(repair=arguments.repair)
