"""A report as PDF: what is on its pages, and that nothing in it can stop it from being drawn."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from service.reports.pdf_file import LIMITS, MAX_LINES, PROGRAM, DrawingFailed, PdfDrawer, document
from service.stats.period import Period
from service.stats.summary import GroupBy, Summary

#: 2026-11-08, in hours since 1970.
START = 498_360
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_SHOWN = re.compile(rb"\(((?:\\.|[^\\)])*)\) Tj")


def summary(counters: Mapping[str, int], days: int = 3) -> Summary:
    """A summary of some days, all counters on the first."""
    found = Summary(Period(START, START + 24 * days))
    found.add("2026-11-08", ((name.encode(), count) for name, count in counters.items()))
    return found


def drawn(
    found: Summary, by: GroupBy = "rule", limits: Mapping[str, int] = MappingProxyType({})
) -> bytes:
    """The PDF of a summary; `limits` are those that differ."""
    return asyncio.run(PdfDrawer({**LIMITS, **limits}).draw(found, by))


def texts(pdf: bytes) -> list[str]:
    """The texts that a PDF of reportlab shows, in the order of the file."""
    pages = (_decoded(match[1]) for match in _STREAM.finditer(pdf))
    return [shown.decode("latin-1") for page in pages for shown in _SHOWN.findall(page)]


def _decoded(stream: bytes) -> bytes:
    return zlib.decompress(base64.a85decode(b"<~" + stream.strip(), adobe=True))


def test_a_report_shows_sums_days_codes_groups_and_callbacks() -> None:
    pdf = drawn(
        summary(
            {
                "job:shop:thank-you:dm:succeeded:3": 1_200,
                "job:shop:thank-you:dm:failed:user_not_found": 7,
                "job:shop:other:dm:canceled:": 5,
                "job:shop::dm:dry_run:": 2,
                "callback:crm:delivered": 44,
            }
        )
    )

    shown = texts(pdf)
    for expected in ("Heliograph report", "1,200", "user_not_found", "thank-you", "other"):
        assert expected in shown
    for expected in ("\\(no rule\\)", "crm", "44", "Total", "Page 1"):
        assert expected in shown
    assert "08 Nov 2026 to 10 Nov 2026 \\(UTC\\), by rule" in shown


def test_the_same_numbers_give_the_same_file() -> None:
    found = summary({"job:shop:thank-you:dm:succeeded:3": 9})
    assert drawn(found) == drawn(found)


@pytest.mark.parametrize("by", ["rule", "account", "code", "day"])
@pytest.mark.parametrize("days", [1, 400])
def test_a_period_without_jobs_is_drawn(by: GroupBy, days: int) -> None:
    assert drawn(summary({}, days), by).startswith(b"%PDF-")


def test_part_of_a_day_is_shown_with_its_hours() -> None:
    found = Summary(Period(START + 5, START + 9))
    assert "08 Nov 2026 05:00 to 08 Nov 2026 09:00 \\(UTC\\), by rule" in texts(drawn(found))


def test_a_long_table_goes_on_over_pages_and_says_what_it_leaves_out() -> None:
    rules = {f"job:shop:rule-{n:04}:dm:succeeded:1": n + 1 for n in range(MAX_LINES + 5)}
    shown = texts(drawn(summary(rules)))
    assert f"rule-{MAX_LINES - 1:04}" in shown
    assert f"rule-{MAX_LINES:04}" not in shown
    assert "and 5 more: the CSV has all of them" in shown
    assert shown.count("Rule") > 10  # the heading of each page


NAMES = ["<b>&amp;", "(\\)", "\u5c71\u7530", "\U0001f389" * 40, "x" * 500, "%PDF", "-- \u2028 --"]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_stops_a_report(name: str) -> None:
    found = document(summary({"job:shop:rule:dm:failed:code": 1}), "rule")
    found["items"][0]["rule"] = name
    found["total"]["failed"]["codes"] = {name: 3}
    limits = json.dumps(dict(LIMITS))
    made = subprocess.run(
        [sys.executable, "-I", PROGRAM, limits],
        input=json.dumps(found).encode(),
        capture_output=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, b"")
    assert made.stdout.startswith(b"%PDF-")


@pytest.mark.parametrize(
    "limits", [{"memory_bytes": 16 * 1024 * 1024}, {"cpu_seconds": 0}, {"output_bytes": 500}]
)
def test_a_report_that_exceeds_a_limit_is_not_drawn(limits: dict[str, int]) -> None:
    with pytest.raises(DrawingFailed):
        drawn(summary({}), limits=limits)


def test_no_process_of_ours_loads_the_drawing_library() -> None:
    code = (
        "import sys, service.app, actors.runtime, actors.registry;"
        "print([name for name in sys.modules if name.split('.')[0] == 'reportlab'])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert printed.stdout == b"[]\n"
