"""Who is not written to: the list, and changing it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator

from service.accounts.suppressions import suppression_key
from service.api.auth import Caller, WebParts
from service.api.pagination import Limit
from service.api.schemas import NoteRequest
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.instagram.ids import InvalidIdentifier, normalise_recipient

router = APIRouter(tags=["suppressions"])


def _who(raw: str) -> str:
    """Find out who is meant: a number on its own is a handle to one reader, an id to the next."""
    if raw.strip().isdigit():
        raise InvalidIdentifier(
            "may be two people: write @ before a handle of digits, pk: before an id"
        )
    return suppression_key(normalise_recipient(raw, bare_numbers=False))


Who = Annotated[
    str,
    AfterValidator(_who),
    Path(alias="username", description="A username, or `pk:` and a user id"),
]
Account = Annotated[
    str | None,
    Query(
        pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="The one account that may not write; leave out for every account",
    ),
]
Place = Annotated[
    str | None,
    Query(max_length=200, description="`next` of the page before; leave out at first"),
]


@router.get("/suppressions")
async def page(
    _caller: Caller, web: WebParts, cursor: Place = None, limit: Limit = 50
) -> dict[str, Any]:
    """List who is not written to, by name: first by no account, then by each."""
    entries, following = await web.suppressions.page(cursor=cursor, limit=limit)
    return {"items": [entry.public() for entry in entries], "next": following}


@router.get("/suppressions/{username}")
async def show(who: Who, _caller: Caller, web: WebParts, account: Account = None) -> dict[str, Any]:
    """Show one entry."""
    entry = await web.suppressions.get(who, account=account)
    if entry is None:
        raise _unknown(web, account)
    return entry.public()


@router.put("/suppressions/{username}", responses={201: {"description": "It is new"}})
async def put(
    who: Who,
    caller: Caller,
    web: WebParts,
    response: Response,
    account: Account = None,
    why: NoteRequest | None = None,
) -> dict[str, Any]:
    """Write to somebody no more: DMs to them end `failed` from now on."""
    _check_account(web, account)
    reason = (why or NoteRequest()).reason or None
    entry, new = await web.suppressions.put(who, account=account, reason=reason, by=caller)
    response.status_code = 201 if new else 200
    return entry.public()


@router.delete("/suppressions/{username}", status_code=204)
async def remove(who: Who, _caller: Caller, web: WebParts, account: Account = None) -> None:
    """Take an entry off the list."""
    if not await web.suppressions.remove(who, account=account):
        raise _unknown(web, account)


def _unknown(web: AppServices, account: str | None) -> ApiError:
    # Entries outlive the account's table: only what is not there is measured by it.
    _check_account(web, account)
    message = "Not on the list: `account` names the entry of one account, without it of all."
    return ApiError(404, "not_suppressed", message)


def _check_account(web: AppServices, account: str | None) -> None:
    if account is None or account in web.config.accounts:
        return
    message = "no such account is configured: GET /accounts lists them"
    fields = [{"field": "account", "message": message}]
    raise ApiError(422, "invalid_request", f"account: {message}", fields=fields)
