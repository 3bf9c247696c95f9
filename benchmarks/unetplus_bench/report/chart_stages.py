"""Chart of a frame's stages: a bar a row, from the raw frame to measured nuclei."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unetplus_bench.report.charts import WIDTH, chart, text_width, words
from unetplus_bench.report.markup import element
from unetplus_bench.statistics import median_ms

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from unetplus_bench.report.contents import Section

_COLOURS: Final = 8
_LINE: Final = 17.0
_GAP: Final = 14.0


def stages_chart(section: Section) -> Element | None:
    """Return the stages of a section's rows side by side, or None where no row has any.

    Every bar has the same scale, so that their lengths compare.
    """
    staged = [row for row in section.timed if sum(row.stages.values()) > 0]
    if not staged:
        return None
    names = list(dict.fromkeys(name for row in staged for name in row.stages))
    totals = [1e3 * sum(row.stages.values()) / row.batch for row in staged]
    marks: list[Element] = []
    top = 0.0
    for row, total in zip(staged, totals, strict=True):
        whole = median_ms(row)
        said = f"{total:.1f} ms" if whole is None else f"{total:.1f} ms in stages, {whole:.1f} ms whole"
        marks.append(words(0, top + 13, row.name, room=WIDTH - text_width(said) - 12))
        marks.append(words(WIDTH, top + 13, said, anchor="end", class_="strong"))
        left, key_left, key_top = 0.0, 0.0, top + 55
        for name, seconds in row.stages.items():
            ms = 1e3 * seconds / row.batch
            colour = f"stage-{names.index(name) % _COLOURS}"
            width = WIDTH * ms / max(totals)
            tip = element("title", f"{name}: {ms:.2f} ms")
            marks.append(element("rect", tip, x=left, y=top + 20, width=width, height=18.0, class_=colour))
            left += width
            text = f"{name} {ms:.1f}"
            if key_left and key_left + 14 + text_width(text) > WIDTH:
                key_left, key_top = 0.0, key_top + _LINE
            marks.append(element("rect", x=key_left, y=key_top - 9, width=9.0, height=9.0, class_=colour))
            marks.append(words(key_left + 13, key_top, text, class_="tick"))
            key_left += 13 + text_width(text) + 10
        top = key_top + _GAP
    parts = "; ".join(
        f"{row.name}: " + ", ".join(f"{name} {1e3 * seconds / row.batch:.1f}" for name, seconds in row.stages.items())
        for row in staged
    )
    return chart(
        f"Stages of a {section.unit}",
        f"Median milliseconds of each stage of a {section.unit}. {parts}.",
        top,
        marks,
        "Medians of each stage by itself: where stages overlap, their sum is more than the whole.",
    )
