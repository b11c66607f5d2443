"""A server with many origins that responds late and counts waiting callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self

from deploy.local.wait import free_port

_ANSWER: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class SlowOrigins:
    """Answers on as many loopback addresses, as a context manager.

    Parameters:
      count: How many origins.
      seconds: The delay of each response.
    """

    def __init__(self, count: int, seconds: float) -> None:
        port = free_port()
        self._port = port
        self._hosts = [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(count)]
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.urls = [f"http://{host}:{port}/" for host in self._hosts]
        #: How many callers wait now, and how many were answered.
        self.waiting = 0
        self.answered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(self._serve())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._answer, self._hosts, self._port, backlog=64)

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.waiting += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(self._seconds)
            writer.write(_ANSWER)
            await writer.drain()
            self.answered += 1
        except (OSError, EOFError):
            pass  # the caller has gone
        finally:
            self.waiting -= 1
            writer.close()
