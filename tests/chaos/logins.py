"""Which logins were interrupted: each leaves a mark with its password, removed when it is saved.

A process that dies, freezes for too long or loses a connection in between leaves its mark behind.
For each mark, and for nothing else, an account may log in once more.
"""

from __future__ import annotations

import functools
import os
import uuid
from pathlib import Path
from typing import Any, Final

#: Directory in which logins leave their marks.
VARIABLE: Final = "CHAOS_LOGINS"


def cut_short(directory: Path, username: str) -> int:
    """How many of an account's passwords were sent without a session being saved.

    Parameters:
      directory: The processes' CHAOS_LOGINS.
      username: The account's at Instagram.
    """
    return len(list(directory.glob(f"{username} *")))


def mark_logins() -> None:
    """Wrap the client and the session manager so that logins leave marks."""
    from actors.instagram.client import InstagramClient
    from actors.instagram.session_manager import SessionManager

    directory = Path(os.environ[VARIABLE])
    send, save, log_in = (
        InstagramClient.bloks_caa_login_send_request,
        SessionManager._save,
        SessionManager._login,
    )

    @functools.wraps(send)
    async def sending(client: InstagramClient, *args: Any, **kwargs: Any) -> Any:
        client.mark = directory / f"{client.username} {uuid.uuid4().hex}"
        client.mark.touch()
        return await send(client, *args, **kwargs)

    @functools.wraps(save)
    async def saving(manager: SessionManager, client: InstagramClient) -> None:
        client.unsaved = True  # stays so if the store is unreachable, which a login survives
        await save(manager, client)
        client.unsaved = False

    @functools.wraps(log_in)
    async def logging_in(manager: SessionManager, client: InstagramClient, **options: Any) -> None:
        await log_in(manager, client, **options)
        if not client.unsaved:
            client.mark.unlink()

    for kind, method in (
        (InstagramClient, sending),
        (SessionManager, saving),
        (SessionManager, logging_in),
    ):
        setattr(kind, method.__name__, method)
