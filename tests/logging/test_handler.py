"""Log lines of one turn of an event loop go out in one write, none lost and all in order."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from typing import Any, TextIO

import pytest

from service.logging.handler import BufferedHandler, LineLogger
from tests.logging.test_setup import lines


class Writes(io.StringIO):
    """A stream that remembers its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []

    def write(self, text: str) -> int:
        self.all.append(text)
        return len(text)


class Refusing(Writes):
    """A buffered stream while somebody else's write to it is interrupted."""

    refuses = True

    def write(self, text: str) -> int:
        if self.refuses:
            raise RuntimeError("reentrant call")
        return super().write(text)


class Interrupted(io.RawIOBase):
    """A file; during its first write a signal handler runs."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.signal_handler: Callable[[], object] | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        handler, self.signal_handler = self.signal_handler, None
        if handler is not None:
            handler()
        self.written += bytes(data)
        return len(data)


def logging_to(stream: TextIO) -> tuple[LineLogger, BufferedHandler]:
    handler = BufferedHandler(stream)
    return LineLogger(handler, "a.place"), handler


def test_lines_of_one_turn_are_written_at_once() -> None:
    async def scenario() -> None:
        log.info("one")
        log.info("two")
        assert stream.all == []
        await asyncio.sleep(0)
        assert stream.all == ["one\ntwo\n"]
        log.info("three")
        await asyncio.sleep(0)
        assert stream.all[1:] == ["three\n"]

    stream = Writes()
    log, _ = logging_to(stream)
    asyncio.run(scenario())


def test_a_warning_does_not_wait_and_follows_the_lines_before_it() -> None:
    async def scenario() -> None:
        log.info("one")
        log.warning("two")
        assert stream.all == ["one\ntwo\n"]

    stream = Writes()
    log, _ = logging_to(stream)
    asyncio.run(scenario())


def test_a_librarys_record_follows_the_lines_before_it() -> None:
    async def scenario() -> None:
        log.info("one")
        handler.handle(logging.makeLogRecord({"msg": "two"}))
        assert "".join(stream.all) == "one\ntwo\n"

    stream = Writes()
    log, handler = logging_to(stream)
    asyncio.run(scenario())


def test_outside_of_a_loop_nothing_waits() -> None:
    stream = Writes()
    logging_to(stream)[0].info("one")
    assert stream.all == ["one\n"]


def test_a_loop_that_ended_before_it_wrote_holds_no_lines_back() -> None:
    async def scenario() -> None:
        log.info("of the next loop")
        await asyncio.sleep(0)
        assert "".join(stream.all) == "of the last loop\nof the next loop\n"

    stream = Writes()
    log, _ = logging_to(stream)
    ended = asyncio.new_event_loop()
    ended.call_soon(log.info, "of the last loop")
    ended.call_soon(ended.stop)
    ended.run_forever()
    ended.close()
    # Given
    assert stream.all == []
    # Then
    asyncio.run(scenario())


def test_the_last_lines_of_a_process_are_written() -> None:
    *_, line = lines("""
import asyncio
loop = asyncio.new_event_loop()
loop.call_soon(log.info, 'bye')
loop.call_soon(loop.stop)
loop.run_forever()
""")
    assert line["message"] == "bye"


def test_a_line_logged_while_another_write_is_interrupted_waits() -> None:
    stream = Refusing()
    log, handler = logging_to(stream)
    log.info("one")
    handler.flush()
    # When
    stream.refuses = False
    log.info("two")
    # Then
    assert stream.all == ["one\ntwo\n"]


def test_a_line_logged_by_a_signal_handler_during_a_write_follows_it() -> None:
    # Given a real buffered stream, which refuses a second write during the first
    file = Interrupted()
    log, _ = logging_to(io.TextIOWrapper(io.BufferedWriter(file)))
    # When
    file.signal_handler = lambda: log.info("two")
    log.info("one")
    # Then
    assert file.written == b"one\ntwo\n"


def test_a_record_that_cannot_be_formatted_raises_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stream = Writes()
    _, handler = logging_to(stream)
    handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("one",)}))
    assert stream.all == []
    assert "Logging error" in capfd.readouterr().err


def test_a_stream_without_a_reader_raises_nothing() -> None:
    stream = io.StringIO()
    log, _ = logging_to(stream)
    stream.close()
    log.info("one")
    log.error("two")
