"""The documentation of the callbacks that are sent: `webhooks` of OpenAPI 3.1."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response

from service.api.models.callbacks import AccountCallback, JobCallback

#: The application's `webhooks`; nothing is served here.
router = APIRouter(tags=["callbacks"])

WebhookId = Annotated[
    str, Header(alias="webhook-id", description="The same in every attempt at a delivery")
]
WebhookTimestamp = Annotated[
    int, Header(alias="webhook-timestamp", description="Unix seconds of this attempt")
]
WebhookSignature = Annotated[
    str,
    Header(
        alias="webhook-signature",
        description="`v1,` and base64 of HMAC-SHA256 of `id.timestamp.body`, one for each secret of"
        " the endpoint, separated by spaces (Standard Webhooks)",
    ),
]

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Delivered, as is any 2xx; the body is not read"},
    410: {"description": "The endpoint is gone: the delivery fails at once"},
    "default": {"description": "Not delivered: it is sent again later"},
}
_JOB_EVENTS: Final = {
    "job.succeeded": "A job has succeeded",
    "job.failed": "A job has failed",
    "job.canceled": "A job was canceled",
    "job.expired": "A job did not end before `expires_at`",
    "job.uncertain": "Whether a job's write has arrived is not known",
}
_ACCOUNT_EVENTS: Final = {
    "account.held": "An account needs a person",
    "account.resumed": "An account was resumed",
}


async def _describe_job(
    body: JobCallback, id_: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature
) -> None:
    """A signed POST to the job's callback endpoint; any answer but 2xx and 410 is tried again."""


async def _describe_account(
    body: AccountCallback, id_: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature
) -> None:
    """A signed POST to the account's callback endpoint; sent again like that of a job."""


for _events, _describe in (_JOB_EVENTS, _describe_job), (_ACCOUNT_EVENTS, _describe_account):
    for _event, _summary in _events.items():
        router.add_api_route(
            _event,
            _describe,
            methods=["POST"],
            operation_id=f"on_{_event.replace('.', '_')}",
            summary=_summary,
            response_class=Response,
            responses=_RESPONSES,
        )
