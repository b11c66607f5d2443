"""Where log lines are written: those of one turn of an event loop in one piece.

A write costs as much as what is said in it. What a storm of events says can wait for the end of the
turn; warnings and errors, and whatever is said outside of a loop, are written at once, and so is
what waits before them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TextIO


class LineHandler(logging.StreamHandler[TextIO]):
    """A handler for records of the standard library, and for lines that need none.

    Parameters:
      stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []
        self._written_by: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after what was said before it."""
        self.flush()
        super().emit(record)

    def flush(self) -> None:
        """Write what waits; the standard library asks for it once more when the process ends.

        What cannot be written is lost, as nobody is left to tell of it. A stream that is in the
        middle of a write refuses what a signal's handler says just then: that waits for the next.
        """
        self.acquire()
        said, self._waiting, self._written_by = self._waiting, [], None
        try:
            if said:
                self.stream.write("".join(said))
        except RuntimeError:
            self._waiting[:0] = said
        except (OSError, ValueError):
            return
        else:
            with suppress(OSError, ValueError, RuntimeError):
                super().flush()
        finally:
            self.release()

    def write(self, line: str) -> None:
        """Write a line at once.

        Parameters:
          line: Without its end.
        """
        self._keep(line)
        self.flush()

    def write_soon(self, line: str) -> None:
        """Write a line at the end of the loop's turn; at once where no loop runs.

        Parameters:
          line: Without its end.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write(line)
            return
        if self._keep(line, loop):
            loop.call_soon(self.flush)

    def _keep(self, line: str, loop: asyncio.AbstractEventLoop | None = None) -> bool:
        """Whether that loop has yet to be told to write."""
        self.acquire()
        try:
            self._waiting.append(f"{line}\n")
            # One that was told may have ended since.
            is_new, self._written_by = loop is not self._written_by, loop or self._written_by
            return is_new
        finally:
            self.release()


class Lines:
    """What structlog calls with a finished line, by its level.

    Parameters:
      handler: Writes them, never one between two parts of another.
      name: The logger's name, as `add_logger_name` wants it.
    """

    def __init__(self, handler: LineHandler, name: str = "") -> None:
        self.name = name
        self.debug = self.info = handler.write_soon
        self.msg = self.warning = self.error = self.critical = self.exception = handler.write
