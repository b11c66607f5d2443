"""Draws a report as PDF: JSON on standard input, PDF on standard output.

Run by its path (service/process/limited_subprocess.py), so that no module or secret of Heliograph
is loaded here. The input is what `pdf_file.document` makes.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from reportlab.graphics.charts.barcharts import HorizontalBarChart, VerticalBarChart
from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    Flowable,
    KeepTogether,
    LongTable,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

MARGIN: Final = 18 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
#: What a page's frame keeps free beside its content.
_FRAME_PADDING: Final = 6
FONT, BOLD = "Helvetica", "Helvetica-Bold"
INK, MUTED, LINE = HexColor(0x1F2937), HexColor(0x6B7280), HexColor(0xE5E7EB)
SENT, FAILED, PANEL = HexColor(0x2563EB), HexColor(0xDC2626), HexColor(0xF3F4F6)

#: Days that have a label below the chart.
_DAY_LABELS: Final = 8
#: Codes that get a bar.
_MOST_CODES: Final = 12
_MISSING: Final = "\u2013"
_UNNAMED: Final = {"rule": "(no rule)", "code": "(no error)"}


def main() -> None:
    """Draw the report of standard input."""
    document = json.load(sys.stdin)
    sys.stdout.buffer.write(draw(document))


def draw(document: dict[str, Any]) -> bytes:
    """The PDF of a report; the same document gives the same bytes."""
    file = io.BytesIO()
    template = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN - _FRAME_PADDING,
        rightMargin=MARGIN - _FRAME_PADDING,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=f"Heliograph report, {_period(document)}",
        author="Heliograph",
        invariant=1,  # no time and no random id in the file
    )
    template.build(_story(document), onFirstPage=_footer, onLaterPages=_footer)
    return file.getvalue()


def _story(document: dict[str, Any]) -> list[Flowable]:
    total = document["total"]
    story = [_heading(document), Spacer(0, 6 * mm), _tiles(total), Spacer(0, 4 * mm)]
    story += _section("Sent and failed per day", _days_chart(document["days"]))
    if total["failed"]["codes"]:
        story += _section("Failures by code", _codes_chart(total["failed"]["codes"]))
    # The first lines of a long table stay with its title; the others go on as they come.
    story += [_title(f"By {document['by']}"), _groups_table(document)]
    if document["cut_off"]:
        story.append(_line(f"and {document['cut_off']:,} more: the CSV has all of them", 9, MUTED))
    if document["callbacks"]["endpoints"]:
        story += _section("Callbacks", _callbacks_table(document["callbacks"]["endpoints"]))
    return story


def _section(title: str, *parts: Flowable) -> list[Flowable]:
    return [KeepTogether([_title(title), *parts])]


def _heading(document: dict[str, Any]) -> Drawing:
    drawing = Drawing(WIDTH, 15 * mm)
    drawing.add(String(0, 8 * mm, "Heliograph report", fontName=BOLD, fontSize=20, fillColor=INK))
    subtitle = f"{_period(document)} (UTC), by {document['by']}"
    drawing.add(String(0, 1 * mm, subtitle, fontName=FONT, fontSize=11, fillColor=MUTED))
    return drawing


def _title(text: str) -> Drawing:
    drawing = Drawing(WIDTH, 12 * mm)
    drawing.add(String(0, 3 * mm, text, fontName=BOLD, fontSize=12, fillColor=INK))
    return drawing


def _line(text: str, size: float, color: HexColor) -> Drawing:
    drawing = Drawing(WIDTH, 6 * mm)
    drawing.add(String(0, 1 * mm, text, fontName=FONT, fontSize=size, fillColor=color))
    return drawing


def _tiles(total: dict[str, Any]) -> Drawing:
    """The sums, in two rows of four."""
    wait = total["wait_seconds"]
    tiles = [
        ("Sent", _number(total["sent"]), SENT),
        ("Failed", _number(total["failed"]["total"]), FAILED),
        ("Uncertain", _number(total["uncertain"]), INK),
        ("Waited, median", _duration(wait["p50"]), INK),
        ("Canceled", _number(total["canceled"]), INK),
        ("Expired", _number(total["expired"]), INK),
        ("Dry runs", _number(total["dry_run"]), INK),
        ("Waited, 95 % within", _duration(wait["p95"]), INK),
    ]
    gap, height, columns = 3 * mm, 17 * mm, 4
    width = (WIDTH - (columns - 1) * gap) / columns
    drawing = Drawing(WIDTH, 2 * height + gap)
    for place, (label, value, color) in enumerate(tiles):
        row, column = divmod(place, columns)
        x, y = column * (width + gap), (1 - row) * (height + gap)
        drawing.add(Rect(x, y, width, height, rx=4, ry=4, fillColor=PANEL, strokeColor=None))
        drawing.add(
            String(x + 3 * mm, y + 10.5 * mm, label, fontName=FONT, fontSize=8, fillColor=MUTED)
        )
        drawing.add(
            String(x + 3 * mm, y + 3.5 * mm, value, fontName=BOLD, fontSize=14, fillColor=color)
        )
    return drawing


def _days_chart(days: Sequence[dict[str, Any]]) -> Drawing:
    height, left, bottom = 58 * mm, 12 * mm, 9 * mm
    drawing = Drawing(WIDTH, height)
    chart = VerticalBarChart()
    chart.x, chart.y = left, bottom
    chart.width, chart.height = WIDTH - left, height - bottom - 8 * mm
    chart.data = [[day["sent"] for day in days], [day["failed"] for day in days]]
    chart.bars[0].fillColor, chart.bars[1].fillColor = SENT, FAILED
    for bars in (chart.bars[0], chart.bars[1]):
        bars.strokeColor = None
    chart.categoryAxis.style = "stacked"
    chart.groupSpacing = 2 if len(days) < 60 else 0.5
    chart.categoryAxis.categoryNames = _day_labels([day["day"] for day in days])
    _style_axes(chart.categoryAxis, chart.valueAxis, max(map(_height, days), default=0))
    drawing.add(chart)
    _legend(drawing, height - 3 * mm, (("Sent", SENT), ("Failed", FAILED)))
    return drawing


def _height(day: dict[str, Any]) -> int:
    return int(day["sent"] + day["failed"])


def _day_labels(days: Sequence[str]) -> list[str]:
    """A label for some of the days, evenly; '' for the others."""
    step = -(-len(days) // _DAY_LABELS)
    return [
        date.fromisoformat(day).strftime("%d %b").lstrip("0") if place % step == 0 else ""
        for place, day in enumerate(days)
    ]


def _codes_chart(codes: dict[str, int]) -> Drawing:
    most = sorted(codes.items(), key=lambda item: (-item[1], item[0]))[:_MOST_CODES]
    most.reverse()  # the chart begins at the bottom
    left, bottom = 55 * mm, 7 * mm
    height = bottom + len(most) * 6.5 * mm + 2 * mm
    drawing = Drawing(WIDTH, height)
    chart = HorizontalBarChart()
    chart.x, chart.y = left, bottom
    chart.width, chart.height = WIDTH - left - 12 * mm, height - bottom - 2 * mm
    chart.data = [[count for _, count in most]]
    chart.bars[0].fillColor, chart.bars[0].strokeColor = FAILED, None
    chart.barLabelFormat, chart.barLabels.fontName = _number, FONT
    chart.barLabels.fontSize, chart.barLabels.fillColor = 8, INK
    chart.barLabels.boxAnchor, chart.barLabels.dx = "w", 2
    chart.groupSpacing = 4
    chart.categoryAxis.categoryNames = [_fitted(code, left - 3 * mm, 8) for code, _ in most]
    chart.categoryAxis.labels.boxAnchor = "e"
    _style_axes(chart.categoryAxis, chart.valueAxis, max(count for _, count in most))
    chart.valueAxis.visibleGrid = False
    chart.valueAxis.visibleLabels = False
    drawing.add(chart)
    return drawing


def _style_axes(categories: Any, values: Any, highest: int) -> None:
    """Quiet axes; the values begin at 0 and have whole steps."""
    for axis in (categories, values):
        axis.labels.fontName, axis.labels.fontSize, axis.labels.fillColor = FONT, 8, MUTED
        axis.strokeColor = LINE
        axis.visibleTicks = False
    values.valueMin, values.valueStep = 0, _step(highest)
    values.valueMax = max(1, -(-highest // values.valueStep)) * values.valueStep
    values.visibleGrid, values.gridStrokeColor, values.visibleAxis = True, LINE, False
    values.labelTextFormat = _number


def _step(highest: int) -> int:
    """A round step that gives three to six lines."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * 5 >= highest:
                return factor * power
        power *= 10


def _legend(drawing: Drawing, y: float, entries: Sequence[tuple[str, HexColor]]) -> None:
    x = WIDTH
    for label, color in reversed(entries):
        x -= stringWidth(label, FONT, 8)
        drawing.add(String(x, y, label, fontName=FONT, fontSize=8, fillColor=MUTED))
        x -= 4 * mm
        drawing.add(Rect(x, y - 0.5, 7, 7, fillColor=color, strokeColor=None))
        x -= 5 * mm


#: The columns of the table: title, and what is in it.
_COLUMNS: Final[Sequence[tuple[str, Callable[[dict[str, Any]], str]]]] = (
    ("Sent", lambda item: _number(item["sent"])),
    ("Failed", lambda item: _number(item["failed"]["total"])),
    ("Canceled", lambda item: _number(item["canceled"])),
    ("Expired", lambda item: _number(item["expired"])),
    ("Uncertain", lambda item: _number(item["uncertain"])),
    ("Dry runs", lambda item: _number(item["dry_run"])),
    ("Lookups", lambda item: _number(sum(item["lookups"].values()))),
    ("Median", lambda item: _duration(item["wait_seconds"]["p50"])),
    ("95 %", lambda item: _duration(item["wait_seconds"]["p95"])),
)


def _groups_table(document: dict[str, Any]) -> Table:
    by, first = document["by"], 46 * mm
    unnamed = _UNNAMED.get(by, _MISSING)
    rows = [[by.capitalize(), *(title for title, _ in _COLUMNS)]]
    for item in document["items"]:
        name = _fitted(item[by] or unnamed, first - 2 * mm, 8)
        rows.append([name, *(show(item) for _, show in _COLUMNS)])
    rows.append(["Total", *(show(document["total"]) for _, show in _COLUMNS)])
    table = LongTable(
        rows, [first, *[(WIDTH - first) / len(_COLUMNS)] * len(_COLUMNS)], repeatRows=1
    )
    table.setStyle(TableStyle([*_TABLE_STYLE, ("FONT", (0, -1), (-1, -1), BOLD, 8)]))
    return table


def _callbacks_table(endpoints: Sequence[dict[str, Any]]) -> Table:
    counts = ("delivered", "failed", "retried")
    first = 70 * mm
    rows = [["Endpoint", *(name.capitalize() for name in counts)]]
    for each in endpoints:
        name = _fitted(each["endpoint"], first - 2 * mm, 8)
        rows.append([name, *(_number(each[count]) for count in counts)])
    table = LongTable(rows, [first, *[(WIDTH - first) / 3] * 3], repeatRows=1)
    table.setStyle(TableStyle(_TABLE_STYLE))
    return table


_TABLE_STYLE: Final = [
    ("FONT", (0, 0), (-1, -1), FONT, 8),
    ("FONT", (0, 0), (-1, 0), BOLD, 8),
    ("TEXTCOLOR", (0, 0), (-1, -1), INK),
    ("TEXTCOLOR", (0, 0), (-1, 0), MUTED),
    ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
    ("LINEBELOW", (0, 0), (-1, 0), 0.8, MUTED),
    ("LINEBELOW", (0, 1), (-1, -1), 0.3, LINE),
    ("LEFTPADDING", (0, 0), (-1, -1), 1),
    ("RIGHTPADDING", (0, 0), (-1, -1), 1),
    ("TOPPADDING", (0, 0), (-1, -1), 3),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
]


def _footer(canvas: Any, template: Any) -> None:
    canvas.saveState()
    canvas.setFont(FONT, 8)
    canvas.setFillColor(MUTED)
    canvas.drawString(MARGIN, 10 * mm, "Heliograph")
    canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"Page {template.page}")
    canvas.restoreState()


def _period(document: dict[str, Any]) -> str:
    """The period as people write it: its days, and the hours where it does not have whole ones."""
    start, end = (datetime.fromisoformat(document[name]) for name in ("from", "to"))
    if start.hour or end.hour:
        return f"{start:%d %b %Y %H:%M} to {end:%d %b %Y %H:%M}"
    last = end - timedelta(days=1)
    if last == start:
        return f"{start:%d %b %Y}"
    return f"{start:%d %b %Y} to {last:%d %b %Y}"


def _number(value: float) -> str:
    return f"{int(value):,}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _MISSING
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _fitted(text: str, width: float, size: float) -> str:
    """A text that the font can show, cut off where it would be wider."""
    shown = text.encode("latin-1", "replace").decode("latin-1")
    if stringWidth(shown, FONT, size) <= width:
        return shown
    while shown and stringWidth(f"{shown}...", FONT, size) > width:
        shown = shown[:-1]
    return f"{shown}..."


if __name__ == "__main__":
    main()
