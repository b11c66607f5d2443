"""Which logins were cut short: each leaves a mark with its password and takes it away when saved.

Whoever dies, freezes too long or loses a connection in between leaves the mark lying; for each of
those, and for nothing else, an account may log in once more.
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
    """How many of an account's passwords were sent without a session being saved for it.

    Parameters:
      directory: The processes' CHAOS_LOGINS.
      username: The account's at Instagram.
    """
    return len(list(directory.glob(f"{username} *")))


def mark_logins() -> None:
    """Wrap the client and its keeper so that logins leave marks."""
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
    async def saving(keeper: SessionManager, client: InstagramClient) -> None:
        client.unsaved = True  # and so it stays if the store is gone, which a login survives
        await save(keeper, client)
        client.unsaved = False

    @functools.wraps(log_in)
    async def logging_in(keeper: SessionManager, client: InstagramClient, **options: Any) -> None:
        await log_in(keeper, client, **options)
        if not client.unsaved:
            client.mark.unlink()

    for kind, method in (
        (InstagramClient, sending),
        (SessionManager, saving),
        (SessionManager, logging_in),
    ):
        setattr(kind, method.__name__, method)
