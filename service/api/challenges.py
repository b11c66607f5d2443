"""Verification codes that Instagram asks for when it challenges a login."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from service.accounts.verification_codes import CODE_HOLDS, normalise_code
from service.api.accounts import UNKNOWN_ACCOUNT, account_view, require_account
from service.api.auth import AccountsCaller, Services
from service.api.models.accounts import Account
from service.api.models.answer import shown_as

router = APIRouter(tags=["accounts"])


class VerificationCodeRequest(BaseModel):
    """The verification code that Instagram sent."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[
        StrictStr,
        AfterValidator(normalise_code),
        Field(max_length=64, repr=False, examples=["123456"]),
    ]


@router.post(
    "/accounts/{name}/challenge",
    operation_id="submit_verification_code",
    responses={200: shown_as(Account), 404: UNKNOWN_ACCOUNT},
)
async def submit_verification_code(
    name: str, body: VerificationCodeRequest, caller: AccountsCaller, services: Services
) -> dict[str, Any]:
    """Store a verification code for the account's next login, and end a hold that waits for one."""
    require_account(services, name)
    await services.verification_codes.put(name, body.code, caller)
    await services.accounts.clear_verification_hold(name, CODE_HOLDS, **caller._asdict())
    return await account_view(services, name)
