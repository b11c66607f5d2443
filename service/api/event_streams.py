"""A tale told over a connection: as server-sent events, or over a WebSocket.

Whoever does not take what he is sent is cut off, and whoever is cut off goes on where he was.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from service.http.uvicorn_protocols import abort_callback
from service.live.broadcaster import Broadcaster, Subscriber
from service.live.subscriptions import Subscription
from service.logging.setup import get_logger

#: For how long one may take nothing of what he is sent.
SEND_TIMEOUT_SECONDS: Final = 20.0
#: When to come again after a connection was lost, and after this process has ended.
RETRY_MS: Final = 1000
RETRY_LATER_MS: Final = (1000, 5000)

#: Close codes (https://www.iana.org/assignments/websocket): done; the service restarts.
DONE, RESTART = 1000, 1012

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_KEEPALIVE: Final = b":\n\n"

_log = get_logger(__name__)


class EventStreamResponse(Response):
    """Server-sent events.

    Parameters:
      live: Where to listen.
      job_id: The job to listen to; None for all.
      tale: What to tell.
    """

    media_type = "text/event-stream"

    def __init__(self, live: Broadcaster, job_id: str | None, tale: Subscription) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._live = live
        self._job_id = job_id
        self._tale = tale

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the tale or the connection is over."""
        with self._live.subscribe(self._job_id, abort_callback(scope)) as listener:
            watch = asyncio.create_task(_unsubscribe_on_disconnect(receive, listener))
            try:
                start = {"type": "http.response.start", "status": self.status_code}
                await send({**start, "headers": self.raw_headers})
                await self._stream(listener, send)
            finally:
                watch.cancel()

    async def _stream(self, listener: Subscriber, send: Send) -> None:
        async def write(body: bytes, more: bool = True) -> None:
            event = {"type": "http.response.body", "body": body, "more_body": more}
            await _send_with_timeout(send(event), listener)

        await write(b"retry: %d\n\n" % RETRY_MS)
        async with aclosing(self._tale.stream(listener)) as batches:
            async for batch in batches:
                await write(b"".join(message.as_event for message in batch) or _KEEPALIVE)
        if listener.closed:
            await write(b"retry: %d\n\n" % random.randint(*RETRY_LATER_MS))
        await write(b"", more=False)


async def stream_to_websocket(
    socket: WebSocket, live: Broadcaster, job_id: str | None, tale: Subscription
) -> None:
    """Tell over a WebSocket until the tale or the connection is over.

    Parameters:
      socket: Not accepted yet. What it says is not listened to.
      live: Where to listen.
      job_id: The job to listen to; None for all.
      tale: What to tell.
    """
    await socket.accept()
    with live.subscribe(job_id, abort_callback(socket.scope)) as listener:
        watch = asyncio.create_task(_unsubscribe_on_disconnect(socket.receive, listener))
        try:
            await _stream(socket, listener, tale)
        except WebSocketDisconnect:
            listener.unsubscribe()
        finally:
            watch.cancel()


async def _stream(socket: WebSocket, listener: Subscriber, tale: Subscription) -> None:
    async with aclosing(tale.stream(listener)) as batches:
        async for batch in batches:
            for message in batch:
                await _send_with_timeout(socket.send_text(message.as_frame), listener)
                if listener.disconnected:
                    return
    if not listener.disconnected:
        await _send_with_timeout(socket.close(RESTART if listener.closed else DONE), listener)


async def _send_with_timeout(sending: Awaitable[None], listener: Subscriber) -> None:
    """Send; cut off one who takes nothing for too long."""
    try:
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            await sending
    except TimeoutError:
        _log.info("live subscriber disconnected", reason="send timed out")
        listener.disconnect()


async def _unsubscribe_on_disconnect(
    receive: Callable[[], Awaitable[Any]], listener: Subscriber
) -> None:
    """Notice the end of a connection; what its other end says is read and dropped."""
    while not (await receive())["type"].endswith(".disconnect"):
        pass
    listener.unsubscribe()
