"""Sends a photo into a thread: the library's `direct_send_photo` in separate steps.

The library decodes the photo on the event loop, uploads and sends in one call, and reads the
certificates again for each upload (aiograpi 2.1.2, mixins/direct.py:787-857 and 999-1062). Only the
last request is a write that anyone sees.
"""

from __future__ import annotations

import json
import time
from typing import Final

import httpx
from aiograpi.exceptions import ClientError, LoginRequired

from actors.instagram.client import InstagramClient, upload_client
from actors.instagram.error_policies import LOGIN_REQUIRED
from actors.instagram.idempotency_tokens import client_context_for, write_token
from actors.instagram.receipts import DmReceipt
from actors.instagram.reply import Reply, attach_reply
from actors.instagram.reply_fields import numeric_id
from actors.instagram.reply_policies import policy_for_words
from actors.instagram.request_deadline import seconds_until_deadline
from actors.instagram.threads import get_thread, thread_id_of

_UPLOAD_URL: Final = "https://rupload.facebook.com/messenger_image"
#: Time limit of each socket read or write, not of the whole upload.
_STEP_SECONDS: Final = 30.0


async def photo_thread_id(client: InstagramClient, pk: str) -> str | None:
    """The id to send a photo to a recipient by; None when there is no thread with them."""
    thread = await get_thread(client, pk)
    return thread_id_of(thread, "thread_v2_id", "thread_id") if thread else None


async def upload(client: InstagramClient, jpeg: bytes) -> str:
    """Upload a photo; Instagram shows it to nobody until it is sent.

    Parameters:
      client: The account's logged-in client.
      jpeg: The photo's bytes.

    Returns:
      The media id to send it by, in digits.

    Raises:
      aiograpi.exceptions.ClientError: Instagram refused the upload; a subclass where the reply
        says why.
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
    async with upload_client(client, httpx.Timeout(_STEP_SECONDS, connect=connect)) as http:
        response = await http.post(f"{_UPLOAD_URL}/{name}", content=jpeg, headers=headers)
    reply = Reply.of(response)
    media_id = numeric_id((reply.document or {}).get("media_id"))
    if reply.status == 200 and media_id:
        return media_id
    raise _upload_error(response)


async def send(client: InstagramClient, thread_id: str, media_id: str, token: str) -> DmReceipt:
    """Send an uploaded photo.

    Parameters:
      client: The account's logged-in client.
      thread_id: From `photo_thread_id`.
      media_id: From `upload`.
      token: Identifies the write; `Gateway.find_dm` matches by it.
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


def _upload_error(response: httpx.Response) -> ClientError:
    """An error with the reply, which says what it means, as the client's own calls raise it."""
    is_over = policy_for_words(Reply.of(response)) is LOGIN_REQUIRED
    error = (LoginRequired if is_over else ClientError)("upload refused")
    attach_reply(error, response)
    return error
