"""Log lines of one turn of a loop go out in one write, and none is lost or out of order."""

from __future__ import annotations

import asyncio
import io
import logging

from service.logging.handler import LineHandler, Lines
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
    """As a buffered stream that is in the middle of a write."""

    refuses = True

    def write(self, text: str) -> int:
        if self.refuses:
            raise RuntimeError("reentrant call")
        return super().write(text)


def logging_to(stream: io.StringIO) -> tuple[Lines, logging.Handler]:
    handler = LineHandler(stream)
    return Lines(handler, "a.place"), handler


def test_what_is_said_in_one_turn_is_written_in_one_piece() -> None:
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


def test_a_warning_does_not_wait_and_takes_what_was_said_before_along() -> None:
    async def scenario() -> None:
        log.info("one")
        log.warning("two")
        assert stream.all == ["one\ntwo\n"]

    stream = Writes()
    log, _ = logging_to(stream)
    asyncio.run(scenario())


def test_a_librarys_record_comes_after_what_was_said_before_it() -> None:
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


def test_a_loop_that_ended_before_it_wrote_keeps_nobodys_lines_back() -> None:
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


def test_the_last_words_of_a_process_are_written() -> None:
    *_, line = lines("""
import asyncio
loop = asyncio.new_event_loop()
loop.call_soon(log.info, 'bye')
loop.call_soon(loop.stop)
loop.run_forever()
""")
    assert line["message"] == "bye"


def test_what_a_signals_handler_says_while_the_stream_is_written_waits() -> None:
    # Given a stream as it is while a signal interrupts a write to it
    stream = Refusing()
    log, handler = logging_to(stream)
    log.info("one")
    handler.flush()
    # When
    stream.refuses = False
    log.info("two")
    # Then
    assert stream.all == ["one\ntwo\n"]


def test_a_stream_whose_reader_has_gone_stops_nobody() -> None:
    stream = io.StringIO()
    log, _ = logging_to(stream)
    stream.close()
    log.info("one")
    log.error("two")
