"""Sessions: an account's login, made elsewhere, put in the place of the stored one."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body

from service.accounts.encryption import derive_keys
from service.accounts.session_import import Imported, OtherDevice, OtherUser, import_session
from service.accounts.session_store import SessionStore, SessionStoreError, SessionUnreadable
from service.accounts.session_validation import InvalidSession
from service.api.accounts import check_known
from service.api.auth import Caller, WebParts
from service.config.config import MissingVariable
from service.dependencies import AppServices
from service.http.errors import ApiError

router = APIRouter(tags=["accounts"])

_ALL_THE_SAME: Final = "to replace the stored session all the same, add ?reset_device=true"

#: The client library's settings, checked by `import_session`: pydantic's errors would not say how
#: to come by better ones.
Settings = Annotated[
    Any,
    Body(
        description="What `dump_settings` of aiograpi or instagrapi writes",
        json_schema_extra={"type": "object"},
    ),
]


@router.put("/accounts/{name}/session")
async def replace(
    name: str,
    _caller: Caller,
    web: WebParts,
    settings: Settings,
    reset_device: bool = False,
) -> dict[str, Any]:
    """Give an account a session; a worker that acts as it goes on with it at its next call."""
    username = _username(web, name)
    vault = SessionStore(web.client, derive_keys(",".join(web.settings.secret_keys)))
    try:
        if isinstance(settings, bytes):
            raise InvalidSession("", "must be sent as Content-Type: application/json")
        imported = await import_session(vault, name, username, settings, reset_device=reset_device)
    except InvalidSession as refused:
        raise _invalid(refused) from None
    except SessionStoreError as error:
        raise _conflict(error) from None
    return _shown(name, imported)


def _username(web: AppServices, name: str) -> str:
    check_known(web, name)
    try:
        return web.config.accounts[name].username.resolve(os.environ)
    except MissingVariable as error:
        message = f"{error}: a session belongs to a username, so set it for the web process too"
        raise ApiError(503, "username_not_set", message) from None


def _invalid(refused: InvalidSession) -> ApiError:
    field = refused.field or "body"
    return ApiError(
        422,
        "invalid_request",
        f"{field}: {refused.problem}",
        fields=[{"field": field, "message": refused.problem}],
    )


def _conflict(error: SessionStoreError) -> ApiError:
    if isinstance(error, OtherDevice):
        return ApiError(409, "device_changed", f"{error}; {_ALL_THE_SAME}", traits=error.traits)
    if isinstance(error, OtherUser):
        return ApiError(409, "user_changed", f"{error}; {_ALL_THE_SAME}")
    if isinstance(error, SessionUnreadable):
        return ApiError(409, "session_unreadable", f"{error}; {_ALL_THE_SAME}")
    return ApiError(409, "conflict", "A worker saved this account's session meanwhile; send again.")


def _shown(name: str, imported: Imported) -> dict[str, Any]:
    return {
        "account": name,
        "version": imported.version,
        "device_reset": imported.device_reset,
        "logged_in": True,
    }
