"""Accounts: their state, pausing and resuming."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from service.api.auth import (
    AccountsCaller,
    AdminCaller,
    NarrowedReadCaller,
    ReadCaller,
    Services,
)
from service.api.bindings import unknown_account
from service.api.models.accounts import Account, AccountPage, GlobalPause
from service.api.models.answer import shown_as
from service.api.schemas import NoteRequest, PauseRequest
from service.dependencies import AppServices

router = APIRouter(tags=["accounts"])

UNKNOWN_ACCOUNT: Final = {"description": "There is no such account (`unknown_account`)"}


@router.get("/accounts", operation_id="list_accounts", responses={200: shown_as(AccountPage)})
async def list_accounts(caller: NarrowedReadCaller, services: Services) -> dict[str, Any]:
    """List the configured accounts."""
    names = filter(caller.key.sees, services.config.accounts)
    items = [await account_view(services, name) for name in names]
    return {"items": items, "next": None}


@router.get(
    "/accounts/{name}",
    operation_id="get_account",
    responses={200: shown_as(Account), 404: UNKNOWN_ACCOUNT},
)
async def get_account(name: str, _caller: ReadCaller, services: Services) -> dict[str, Any]:
    """Show one account: whether it is active, why not, its budgets and its waiting jobs."""
    return await account_view(services, name)


@router.post(
    "/accounts/{name}/pause",
    operation_id="pause_account",
    responses={200: shown_as(Account), 404: UNKNOWN_ACCOUNT},
)
async def pause_account(
    name: str, caller: AccountsCaller, services: Services, body: PauseRequest | None = None
) -> dict[str, Any]:
    """Pause an account, or one kind of its actions; its jobs are held until it is resumed."""
    require_account(services, name)
    body = body or PauseRequest()
    await services.accounts.pause(name, body.reason, kind=body.kind, **caller._asdict())
    return await account_view(services, name)


@router.post(
    "/accounts/{name}/resume",
    operation_id="resume_account",
    responses={200: shown_as(Account), 404: UNKNOWN_ACCOUNT},
)
async def resume_account(
    name: str, caller: AccountsCaller, services: Services, body: PauseRequest | None = None
) -> dict[str, Any]:
    """End every pause, hold and cooldown of an account (or of one kind); its jobs continue."""
    require_account(services, name)
    kind = (body or PauseRequest()).kind
    await services.accounts.resume(name, kind=kind, **caller._asdict())
    return await account_view(services, name)


@router.post("/pause", operation_id="pause_all_accounts", responses={200: shown_as(GlobalPause)})
async def pause_all_accounts(
    caller: AdminCaller, services: Services, body: NoteRequest | None = None
) -> dict[str, Any]:
    """Pause all accounts at once, whatever their own state."""
    await services.accounts.pause_all((body or NoteRequest()).reason, *caller)
    return await services.accounts.global_pause()


@router.post("/resume", operation_id="resume_all_accounts", responses={200: shown_as(GlobalPause)})
async def resume_all_accounts(
    caller: AdminCaller, services: Services, _body: NoteRequest | None = None
) -> dict[str, Any]:
    """End the pause of all accounts; an account's own pause or hold stays."""
    await services.accounts.resume_all(*caller)
    return await services.accounts.global_pause()


async def account_view(services: AppServices, name: str) -> dict[str, Any]:
    """Return an account as the API shows it; 404 if it is not configured."""
    require_account(services, name)
    return {**await services.accounts.show(name), "role": services.config.accounts[name].role}


def require_account(services: AppServices, name: str) -> None:
    """Raise a 404 ApiError if no account of that name is configured."""
    if name not in services.config.accounts:
        raise unknown_account()
