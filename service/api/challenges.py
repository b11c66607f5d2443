"""The answer to Instagram's question whether it is really you."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from service.accounts.verification_codes import CODE_HOLDS, normalise_code
from service.api.accounts import check_known, shown
from service.api.auth import Caller, WebParts

router = APIRouter(tags=["accounts"])


class ChallengeAnswer(BaseModel):
    """The code that Instagram sent."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[
        StrictStr,
        AfterValidator(normalise_code),
        Field(max_length=64, repr=False, examples=["123456"]),
    ]


@router.post("/accounts/{name}/challenge")
async def answer(
    name: str, given: ChallengeAnswer, caller: Caller, web: WebParts
) -> dict[str, Any]:
    """Leave a code for the account's next login; a hold that waits for one ends."""
    check_known(web, name)
    await web.verification_codes.put(name, given.code)
    await web.accounts.clear_verification_hold(name, CODE_HOLDS, by=f"api:{caller}")
    return await shown(web, name)
