"""Chart of times: a line a row, from the median to the slowest of a hundred calls."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from unetplus_bench.report.axes import Axis
from unetplus_bench.report.charts import WIDTH, chart, dot, engine_class, line, text_width, words
from unetplus_bench.report.columns import ms_digits, number
from unetplus_bench.report.markup import element
from unetplus_bench.statistics import percentile_ms

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from unetplus_bench.report.contents import Section
    from unetplus_bench.results import BenchmarkResult, Row

_LEVELS: Final = (50, 90, 95, 99)
_ROW: Final = 38.0
_EDGE: Final = 8.0


def latency_chart(section: Section, result: BenchmarkResult) -> Element | None:
    """Return the times of a section's rows, the shortest median first, or None where there are none."""
    timed = [(row, times) for row in section.timed if 50 in (times := _percentiles(row))]
    if not timed:
        return None
    timed.sort(key=lambda pair: pair[1][50])
    axis = Axis.around(
        (value for _, times in timed for value in times.values()), _EDGE, WIDTH - _EDGE, logarithmic=True, margin=0.02
    )
    bottom = _ROW * len(timed) + 6
    digits = ms_digits(section.scope, result)
    marks = [line(axis.at(tick), 0, axis.at(tick), bottom, "grid") for tick in axis.ticks()]
    for index, (row, times) in enumerate(timed):
        marks.extend(_row(row, times, axis, _ROW * index, digits))
    marks.extend(
        words(axis.at(tick), bottom + 14, f"{tick:g}", anchor="middle", class_="tick") for tick in axis.ticks()
    )
    marks.append(words(WIDTH - _EDGE, bottom + 30, f"ms a {section.unit}", anchor="end", class_="tick"))
    shortest, longest = timed[0], timed[-1]
    return chart(
        f"Time a {section.unit}",
        f"Median milliseconds a {section.unit} of {len(timed)} rows, from {number(shortest[1][50], digits)} "
        f"({shortest[0].name}) to {number(longest[1][50], digits)} ({longest[0].name}); every figure is in the table.",
        bottom + 34,
        marks,
        "Dot and number: median. The line ends at the 99th percentile; the thick part at the 90th, the next at the "
        "95th. Equal distances are equal ratios.",
    )


def _row(row: Row, times: dict[int, float], axis: Axis, top: float, digits: int) -> list[Element]:
    colour = engine_class(row)
    middle = top + 25
    value = f"{number(times[50], digits)} ms"
    ends = [axis.at(times[level]) for level in _LEVELS if level in times]
    parts = [
        line(left, middle, right, middle, f"stroke {colour} level-{index}")
        for index, (left, right) in enumerate(pairwise(ends))
    ]
    told = ", ".join(f"p{level} {number(time, digits)}" for level, time in times.items())
    return [
        words(0, top + 13, row.name, room=WIDTH - text_width(value) - 12),
        words(WIDTH, top + 13, value, anchor="end", class_="strong"),
        element("g", element("title", f"{row.name}: {told} ms"), *parts, dot(ends[0], middle, 5, f"fill {colour}")),
    ]


def _percentiles(row: Row) -> dict[int, float]:
    found = {level: percentile_ms(row, level) for level in _LEVELS}
    return {level: value for level, value in found.items() if value is not None and value > 0}
