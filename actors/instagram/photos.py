"""A photo into a thread: what the library's `direct_send_photo` does, in steps of our own.

The library decodes the photo on the loop, uploads and sends in one go, and reads the certificates
anew for each upload (aiograpi 2.1.2, mixins/direct.py:787-857 and 999-1062). Only the last request
is a write that anybody sees.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

import httpx
from aiograpi.exceptions import (
    ChallengeRequired,
    CheckpointRequired,
    ClientError,
    ClientThrottledError,
    ClientUnknownError,
    FeedbackRequired,
    LoginRequired,
)

from actors.instagram.client import InstagramClient, plain_client
from actors.instagram.idempotency_tokens import client_context_for, write_token
from actors.instagram.receipts import DmReceipt
from actors.instagram.reconcile import shown_thread
from actors.instagram.write_deadline import seconds_until_deadline

_UPLOADS: Final = "https://rupload.facebook.com/messenger_image"
#: For a read or a write to move on, not for the whole upload.
_STEP_SECONDS: Final = 30.0

#: Refusals that are about the account, by the reply's message.
_REFUSALS: Final[dict[str, type[ClientError]]] = {
    "login_required": LoginRequired,
    "challenge_required": ChallengeRequired,
    "checkpoint_required": CheckpointRequired,
    "feedback_required": FeedbackRequired,
}


async def thread_with(client: InstagramClient, pk: str) -> str | None:
    """Tell by which id a photo goes to somebody; None when there is no thread with them."""
    thread = await shown_thread(client, pk)
    thread_id = thread.get("thread_v2_id") or thread.get("thread_id")
    return str(thread_id) if thread_id else None


async def upload(client: InstagramClient, jpeg: bytes) -> str:
    """Give a photo to Instagram, which shows it to nobody yet.

    Parameters:
      client: The account's client, logged in.
      jpeg: The photo.

    Returns:
      The number it is sent by.
    """
    name = f"fb_uploader_{int(time.time() * 1000)}"
    headers = client._messenger_rupload_headers(
        {
            "image_type": "FILE_ATTACHMENT",
            "content-type": "application/octet-stream",
            "offset": "0",
            "x-entity-length": str(len(jpeg)),
            "x-entity-name": name,
            "x-entity-type": "image/jpeg",
        }
    )
    connect = min(_STEP_SECONDS, seconds_until_deadline())
    async with plain_client(client, httpx.Timeout(_STEP_SECONDS, connect=connect)) as carrier:
        reply = await carrier.post(f"{_UPLOADS}/{name}", content=jpeg, headers=headers)
    document = _document(reply)
    if reply.status_code == 200 and "media_id" in document:
        return str(int(document["media_id"]))
    raise _refusal(reply.status_code, document)


async def send(client: InstagramClient, thread_id: str, media_id: str, token: str) -> DmReceipt:
    """Send an uploaded photo.

    Parameters:
      client: The account's client.
      thread_id: The thread.
      media_id: From `upload`.
      token: Names the write; the same one is recognised by `Gateway.find_dm`.
    """
    context = client_context_for(token)
    data = {
        "action": "send_item",
        "is_x_transport_forward": "false",
        "is_shh_mode": "0",
        "thread_ids": json.dumps([int(thread_id)]),
        "send_attribution": "inbox",
        "client_context": context,
        "attachment_fbid": media_id,
        "device_id": client.android_device_id,
        "mutation_token": context,
        "_uuid": client.uuid,
        "allow_full_aspect_ratio": "true",
        "btt_dual_send": "false",
        "is_ae_dual_send": "false",
        "offline_threading_id": context,
    }
    with write_token(token):
        reply = await client.private_request(
            "direct_v2/threads/broadcast/photo_attachment/",
            data=client.with_default_data(data),
            with_signature=False,
        )
    payload = reply["payload"]
    return DmReceipt(str(payload["item_id"]), str(payload.get("thread_id") or thread_id), context)


def _document(reply: httpx.Response) -> dict[str, Any]:
    try:
        document = json.loads(reply.content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(status: int, document: dict[str, Any]) -> ClientError:
    """An error as the library's own calls raise them; nothing of the reply goes into it."""
    kind = _REFUSALS.get(str(document.get("message")))
    if kind is None and status == 429:
        kind = ClientThrottledError
    if kind is None and status >= 500:
        kind = ClientUnknownError
    return (kind or ClientError)("the upload was refused", code=status)
