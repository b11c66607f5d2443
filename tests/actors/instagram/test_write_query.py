"""From when on a write may have been stored, by Instagram's clock."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate

import httpx
import pytest

from actors.instagram.write_query import WriteQuery, earliest_stored_ms

SINCE = 1_700_000_000_000


def query(text: str, age_seconds: float) -> WriteQuery:
    return WriteQuery("7", text, time.monotonic() - age_seconds)


def reply(date: str | None) -> httpx.Response:
    return httpx.Response(200, headers={} if date is None else {"Date": date})


def test_the_earliest_time_follows_instagrams_clock() -> None:
    # Given an intent of one minute ago, and a clock far from ours
    earliest = earliest_stored_ms(reply(formatdate(SINCE / 1_000, usegmt=True)), query("x", 60))
    # Then the write is no older than that, with slack for whole seconds
    assert SINCE - 60_000 - 6_000 < earliest <= SINCE - 60_000 - 2_000


@pytest.mark.parametrize(
    "date", [None, "", "yesterday", "Mon, 99 Nov 2026 00:00:00 GMT", "1 Jan 2026 00:00:00 +9999999"]
)
def test_without_a_usable_date_our_own_clock_serves_with_minutes_of_slack(date: str | None) -> None:
    earliest = earliest_stored_ms(reply(date), query("x", 60))
    assert time.time() * 1_000 - earliest == pytest.approx(60_000 + 300_000, abs=2_000)
    assert earliest_stored_ms(None, query("x", 60)) == pytest.approx(earliest, abs=2_000)


def test_the_age_grows_while_the_search_reads() -> None:
    date = formatdate(SINCE / 1_000, usegmt=True)
    one = query("x", 60)
    older = replace(one, intended_at=one.intended_at - 30)
    assert earliest_stored_ms(reply(date), one) - earliest_stored_ms(
        reply(date), older
    ) == pytest.approx(30_000, abs=100)
