"""Replaces an account's stored session with one that was created elsewhere."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body

from service.accounts.encryption import derive_keys
from service.accounts.session_import import Imported, OtherDevice, OtherUser, import_session
from service.accounts.session_store import SessionStore, SessionStoreError, SessionUnreadable
from service.accounts.session_validation import InvalidSession
from service.api.accounts import UNKNOWN_ACCOUNT, require_account
from service.api.auth import AccountsCaller, Services
from service.api.models.accounts import SessionReplacement
from service.api.models.answer import shown_as
from service.api.schemas import invalid
from service.config.config import MissingVariable
from service.dependencies import AppServices
from service.http.errors import ApiError

router = APIRouter(tags=["accounts"])

_RESET_HINT: Final = "to replace the stored session anyway, add ?reset_device=true"

#: The client library's settings. `import_session` validates them, because pydantic's errors would
#: not say how to get valid ones.
SessionDocument = Annotated[
    Any,
    Body(
        description="What `dump_settings` of aiograpi or instagrapi writes",
        json_schema_extra={"type": "object"},
    ),
]


@router.put(
    "/accounts/{name}/session",
    operation_id="replace_session",
    responses={
        200: shown_as(SessionReplacement),
        404: UNKNOWN_ACCOUNT,
        409: {
            "description": "It is not the stored session's device or user, or there is a problem"
            " with that one (`device_changed`, `user_changed`, `session_unreadable`, `conflict`)"
        },
        503: {
            "description": "Redis is unavailable, or the username is not set (`username_not_set`)"
        },
    },
)
async def replace_session(
    name: str,
    caller: AccountsCaller,
    services: Services,
    settings: SessionDocument,
    reset_device: bool = False,
) -> dict[str, Any]:
    """Replace an account's session; workers use the new one from their next call on."""
    username = _configured_username(services, name)
    store = SessionStore(services.client, derive_keys(",".join(services.settings.secret_keys)))
    try:
        if isinstance(settings, bytes):
            raise InvalidSession("", "must be sent as Content-Type: application/json")
        imported = await import_session(
            store, name, username, settings, reset_device=reset_device, requester=caller
        )
    except InvalidSession as error:
        raise invalid(error.field or "body", error.problem) from None
    except SessionStoreError as error:
        raise _conflict(error) from None
    return _shown(name, imported)


def _configured_username(services: AppServices, name: str) -> str:
    require_account(services, name)
    try:
        return services.config.accounts[name].username.resolve(os.environ)
    except MissingVariable as error:
        message = f"{error}: set it for the web process as well, since a session has a username"
        raise ApiError(503, "username_not_set", message) from None


def _conflict(error: SessionStoreError) -> ApiError:
    if isinstance(error, OtherDevice):
        return ApiError(409, "device_changed", f"{error}; {_RESET_HINT}", traits=error.traits)
    if isinstance(error, OtherUser):
        return ApiError(409, "user_changed", f"{error}; {_RESET_HINT}")
    if isinstance(error, SessionUnreadable):
        return ApiError(409, "session_unreadable", f"{error}; {_RESET_HINT}")
    return ApiError(
        409, "conflict", "A worker saved this account's session at the same time: send it again."
    )


def _shown(name: str, imported: Imported) -> dict[str, Any]:
    return {
        "account": name,
        "version": imported.version,
        "device_reset": imported.device_reset,
        "logged_in": True,
    }
