"""Suppressions: recipients that must not be written to."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator

from service.accounts.suppressions import suppression_key
from service.api.auth import NarrowedAccountsCaller, Services, SuppressionsReader
from service.api.callers import Caller
from service.api.models.answer import shown_as
from service.api.models.suppressions import SuppressionEntry, SuppressionPage
from service.api.pagination import CURSOR_QUERY, Limit, list_cursor
from service.api.schemas import NoteRequest, find_account
from service.api.sealed_cursors import seal, unseal
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.instagram.ids import normalise_named_recipient

router = APIRouter(tags=["suppressions"])


def recipient_key(raw: str) -> str:
    """Normalise a recipient in a path to their `suppression_key`.

    Raises:
      InvalidIdentifier: It names nobody, or is a bare number: a username or an id.
    """
    return suppression_key(normalise_named_recipient(raw))


Recipient = Annotated[
    str,
    AfterValidator(recipient_key),
    Path(alias="username", description="A username, or `pk:` and a user id"),
]
Account = Annotated[
    str | None,
    Query(
        pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="The one account that must not write; leave it out for all accounts",
    ),
]
#: The last entry's account, or `*` for all accounts, and its recipient; sealed or not.
NameCursor = Annotated[
    str | None,
    CURSOR_QUERY,
    list_cursor(
        r"(?:\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,63}):(?:pk:[0-9]{1,20}|[a-z0-9._]{1,30}|#[\w-]{1,64})"
        r"|~[A-Za-z0-9._-]{1,500}"
    ),
]


_NOT_SUPPRESSED: Final = {"description": "There is no such entry (`not_suppressed`)"}


@router.get(
    "/suppressions", operation_id="list_suppressions", responses={200: shown_as(SuppressionPage)}
)
async def list_suppressions(
    caller: SuppressionsReader, services: Services, cursor: NameCursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List suppressions by name: first those of all accounts, then those of each account."""
    start = unseal(cursor, services.cipher)
    entries, next_cursor = await services.suppressions.page(cursor=start, limit=limit)
    shown = [entry.public() for entry in entries if _sees(caller, entry.account)]
    return {"items": shown, "next": seal(next_cursor, caller, services.cipher)}


@router.get(
    "/suppressions/{username}",
    operation_id="get_suppression",
    responses={200: shown_as(SuppressionEntry), 404: _NOT_SUPPRESSED},
)
async def get_suppression(
    recipient: Recipient, caller: SuppressionsReader, services: Services, account: Account = None
) -> dict[str, Any]:
    """Show one suppression."""
    entry = await services.suppressions.get(recipient, account=account)
    if entry is None or not _sees(caller, account):
        raise _unknown(services, account)
    return entry.public()


@router.put(
    "/suppressions/{username}",
    operation_id="add_suppression",
    responses={
        200: {**shown_as(SuppressionEntry), "description": "It was there; the reason is replaced"},
        201: {**shown_as(SuppressionEntry), "description": "The entry is new"},
    },
)
async def add_suppression(
    recipient: Recipient,
    caller: NarrowedAccountsCaller,
    services: Services,
    response: Response,
    account: Account = None,
    body: NoteRequest | None = None,
) -> dict[str, Any]:
    """Suppress a recipient: new DMs to them fail."""
    _check_account(services, account)
    _check_bound(caller, account)
    reason = (body or NoteRequest()).reason or None
    entry, new = await services.suppressions.put(
        recipient, account=account, reason=reason, by=caller.key_name, address=caller.address
    )
    response.status_code = 201 if new else 200
    return entry.public()


@router.delete(
    "/suppressions/{username}",
    operation_id="remove_suppression",
    status_code=204,
    responses={404: _NOT_SUPPRESSED},
)
async def remove_suppression(
    recipient: Recipient,
    caller: NarrowedAccountsCaller,
    services: Services,
    account: Account = None,
) -> None:
    """Remove a suppression."""
    _check_bound(caller, account)
    if not await services.suppressions.remove(recipient, account=account, requester=caller):
        raise _unknown(services, account)


def _unknown(services: AppServices, account: str | None) -> ApiError:
    # Suppressions outlive their account's configuration, so only a missing one is checked.
    _check_account(services, account)
    message = (
        "Not suppressed: set `account` for one account's entry, or omit it for the global entry."
    )
    return ApiError(404, "not_suppressed", message)


def _check_account(services: AppServices, account: str | None) -> None:
    if account is not None:
        find_account(account, services.config)


def _check_bound(caller: Caller, account: str | None) -> None:
    """Refuse a change for accounts that the key is not bound to."""
    if account is not None:
        caller.require_accounts((account,))
    elif caller.key.accounts is not None:
        raise caller.not_bound_to("all accounts (name one with `account`)")


def _sees(caller: Caller, account: str | None) -> bool:
    # An entry for all accounts is one for the key's, too.
    return account is None or caller.key.sees(account)
