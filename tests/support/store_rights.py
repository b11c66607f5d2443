"""The users of the processes, as docs/storage.md has them made.

    python -m tests.support.store_rights

writes the rights of service/jobs/store_rights.py into that page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit, urlunsplit

import redis

from service.jobs.store_rights import Process, acl_rules

_PAGE: Final = Path(__file__).parents[2] / "docs" / "storage.md"
_COMMAND: Final = re.compile(r"^ACL SETUSER heliograph-(\w+) .*$", re.MULTILINE)


def acl_commands() -> dict[str, list[str]]:
    """The documented command for each process, in words."""
    found = _COMMAND.finditer(_PAGE.read_text())
    return {match[1]: match[0].split() for match in found}


def rewrite_page() -> None:
    """Give each process in the page the rights that it needs."""

    def command(match: re.Match[str]) -> str:
        process = cast("Process", match[1])
        password = f">{process.upper()}-PASSWORD"
        return f"ACL SETUSER heliograph-{process} reset on {password} {acl_rules(process)}"

    _PAGE.write_text(_COMMAND.sub(command, _PAGE.read_text()))


def make_users(url: str) -> dict[str, str]:
    """Make the documented users; returns each process' own URL.

    Parameters:
      url: The store, for somebody who may make users.
    """
    urls = {}
    with redis.Redis.from_url(url) as admin:
        for process, words in acl_commands().items():
            admin.execute_command(*words)
            urls[process] = _with_user(url, words[2], words[5].removeprefix(">"))
    return urls


def _with_user(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.netloc}"))


if __name__ == "__main__":
    rewrite_page()
