"""Accounts: what stands in their way, and opening and closing them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.api.auth import Caller, WebParts
from service.api.schemas import NoteRequest, PauseRequest
from service.dependencies import AppServices
from service.http.errors import ApiError

router = APIRouter(tags=["accounts"])


@router.get("/accounts")
async def page(_caller: Caller, web: WebParts) -> dict[str, Any]:
    """List the configured accounts."""
    items = [await shown(web, name) for name in web.config.accounts]
    return {"items": items, "next": None}


@router.get("/accounts/{name}")
async def show(name: str, _caller: Caller, web: WebParts) -> dict[str, Any]:
    """Show one account: whether it acts, why not, and what waits for it."""
    return await shown(web, name)


@router.post("/accounts/{name}/pause")
async def pause(
    name: str, caller: Caller, web: WebParts, asked: PauseRequest | None = None
) -> dict[str, Any]:
    """Stop an account, or one kind of its actions: jobs are held until it is resumed."""
    check_known(web, name)
    asked = asked or PauseRequest()
    await web.accounts.pause(name, asked.reason, kind=asked.kind, by=f"api:{caller}")
    return await shown(web, name)


@router.post("/accounts/{name}/resume")
async def resume(
    name: str, caller: Caller, web: WebParts, asked: PauseRequest | None = None
) -> dict[str, Any]:
    """End every hold and cooldown of an account (or of one kind); held jobs go on in order."""
    check_known(web, name)
    await web.accounts.resume(name, kind=(asked or PauseRequest()).kind, by=f"api:{caller}")
    return await shown(web, name)


@router.post("/pause")
async def pause_everything(
    caller: Caller, web: WebParts, why: NoteRequest | None = None
) -> dict[str, Any]:
    """Stop every account at once, whatever its own state."""
    await web.accounts.pause_all((why or NoteRequest()).reason, f"api:{caller}")
    return await web.accounts.global_pause()


@router.post("/resume")
async def resume_everything(
    caller: Caller, web: WebParts, _why: NoteRequest | None = None
) -> dict[str, Any]:
    """End the stop of every account; holds of their own stay."""
    await web.accounts.resume_all(f"api:{caller}")
    return await web.accounts.global_pause()


async def shown(web: AppServices, name: str) -> dict[str, Any]:
    """An account as the API shows it."""
    check_known(web, name)
    return {**await web.accounts.show(name), "role": web.config.accounts[name].role}


def check_known(web: AppServices, name: str) -> None:
    """Refuse the name of no account."""
    if name not in web.config.accounts:
        raise ApiError(404, "unknown_account", "No such account is configured.")
