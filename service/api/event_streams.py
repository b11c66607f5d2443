"""Sends a subscription's updates over a connection: as server-sent events or over a WebSocket.

A subscriber that stops reading is disconnected. A subscriber that comes back resumes after the last
event it received.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from service.http.connection_abort import abort_callback
from service.live.broadcaster import Broadcaster, Subscriber
from service.live.subscriptions import Subscription
from service.logging.setup import get_logger

#: A subscriber that reads nothing for so long is disconnected.
SEND_TIMEOUT_SECONDS: Final = 20.0
#: SSE reconnection time: after a lost connection, and (a random value) after this process stops.
RETRY_MS: Final = 1000
SHUTDOWN_RETRY_MS: Final = (1000, 5000)

#: Close codes (https://www.iana.org/assignments/websocket).
NORMAL_CLOSURE, SERVICE_RESTART = 1000, 1012

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
#: A line, and no blank one after it: httpx-sse makes an event of every blank line once it has
#: received an id (`SSEDecoder` in src/httpx_sse/_decoders.py of florimondmanca/httpx-sse).
_KEEPALIVE: Final = b":\n"

_log = get_logger(__name__)


class EventStreamResponse(Response):
    """Server-sent events.

    Parameters:
      broadcaster: Pushes new entries.
      slot: Held while updates are sent.
      job_id: The job to follow; None for all.
      subscription: Yields the updates to send.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        broadcaster: Broadcaster,
        slot: AbstractContextManager[None],
        job_id: str | None,
        subscription: Subscription,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._broadcaster = broadcaster
        self._slot = slot
        self._job_id = job_id
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send updates until the subscription or the connection ends.

        Raises:
          ApiError: 429, no slot is free; nothing has been sent.
        """
        with (
            self._slot,
            _subscribed(self._broadcaster, self._job_id, scope, receive) as subscriber,
        ):
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            await self._stream(subscriber, send)

    async def _stream(self, subscriber: Subscriber, send: Send) -> None:
        async def write(body: bytes, more: bool = True) -> None:
            event = {"type": "http.response.body", "body": body, "more_body": more}
            await _send_with_timeout(send(event), subscriber)

        await write(b"retry: %d\n" % RETRY_MS)
        async with aclosing(self._subscription.stream(subscriber)) as batches:
            async for batch in batches:
                await write(b"".join(update.as_event for update in batch) or _KEEPALIVE)
        if subscriber.closed:
            await write(b"retry: %d\n" % random.randint(*SHUTDOWN_RETRY_MS))
        await write(b"", more=False)


async def stream_to_websocket(
    socket: WebSocket, broadcaster: Broadcaster, job_id: str | None, subscription: Subscription
) -> None:
    """Send updates over a WebSocket until the subscription or the connection ends.

    Parameters:
      socket: Not accepted yet. What it sends is ignored.
      broadcaster: Pushes new entries.
      job_id: The job to follow; None for all.
      subscription: Yields the updates to send.
    """
    await socket.accept()
    with _subscribed(broadcaster, job_id, socket.scope, socket.receive) as subscriber:
        try:
            await _stream(socket, subscriber, subscription)
        except WebSocketDisconnect:
            subscriber.unsubscribe()


async def _stream(socket: WebSocket, subscriber: Subscriber, subscription: Subscription) -> None:
    async with aclosing(subscription.stream(subscriber)) as batches:
        async for batch in batches:
            for update in batch:
                await _send_with_timeout(socket.send_text(update.as_frame), subscriber)
                if subscriber.disconnected:
                    return
    if not subscriber.disconnected:
        code = SERVICE_RESTART if subscriber.closed else NORMAL_CLOSURE
        await _send_with_timeout(socket.close(code), subscriber)


@contextmanager
def _subscribed(
    broadcaster: Broadcaster, job_id: str | None, scope: Scope, receive: Receive
) -> Iterator[Subscriber]:
    """Subscribe for the length of the block; the subscriber learns when the peer disconnects."""
    with broadcaster.subscribe(job_id, abort_callback(scope)) as subscriber:
        watcher = asyncio.create_task(_unsubscribe_on_disconnect(receive, subscriber))
        try:
            yield subscriber
        finally:
            watcher.cancel()


async def _send_with_timeout(sending: Awaitable[None], subscriber: Subscriber) -> None:
    try:
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            await sending
    except TimeoutError:
        _log.info("live subscriber disconnected", reason="send timed out")
        subscriber.disconnect()


async def _unsubscribe_on_disconnect(receive: Receive, subscriber: Subscriber) -> None:
    """Wait for the end of the connection; discard what the peer sends."""
    while not (await receive())["type"].endswith(".disconnect"):
        pass
    subscriber.unsubscribe()
