"""What the charts of a report have in common: their size, their words, one colour a backend.

Colours are classes of the page's style sheet, which has them for light and for dark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unetplus_bench.report.markup import element

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from unetplus_bench.results import Row

WIDTH: Final = 480.0
"""Of every chart, in its own units: on a phone a unit is not much less than a pixel."""

FONT: Final = 13.0
"""Size of letters, in the same units."""

ENGINES: Final = ("keras", "litert", "onnxruntime", "openvino", "tensorrt")
"""Backends that have a colour of their own."""


def engine_class(row: Row) -> str:
    """Return the class that gives a row its backend's colour."""
    return f"engine-{row.engine if row.engine in ENGINES else 'other'}"


def chart(title: str, description: str, height: float, marks: Iterable[Element], note: str | None = None) -> Element:
    """Return a chart with its title above and a note below.

    Parameters
    ----------
    title
        Its head.
    description
        What it shows, in words, for who does not see it.
    height
        Of the drawing, in units of which its width has `WIDTH`.
    marks
        The drawing.
    note
        How to read it.
    """
    drawing = element("svg", *marks, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img", aria_label=description)
    return element(
        "figure",
        element("h4", title),
        drawing,
        None if note is None else element("figcaption", note),
    )


def words(
    x: float, y: float, text: str, *, anchor: str = "start", class_: str | None = None, room: float | None = None
) -> Element:
    """Return a line of text, cut where it is longer than there is room; the whole is then its tooltip."""
    if room is None or text_width(text) <= room:
        return element("text", text, x=x, y=y, text_anchor=anchor, class_=class_)
    cut = text[: max(1, int(room / text_width("n")) - 1)] + "…"
    return element("text", cut, element("title", text), x=x, y=y, text_anchor=anchor, class_=class_)


def text_width(text: str) -> float:
    """Return about how wide a text is, rather more than less."""
    return 0.56 * FONT * len(text)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def dot(x: float, y: float, radius: float, class_: str, title: str | None = None) -> Element:
    """Return a dot, with a tooltip where a title is given."""
    return element("circle", None if title is None else element("title", title), cx=x, cy=y, r=radius, class_=class_)


def varying_label(row: Row, rows: Sequence[Row]) -> str:
    """Return what tells a row from the others of a chart, in the fewest words."""
    families = {other.network.name.rpartition("_b")[0] for other in rows if other.network is not None}
    parts = [_parts(other, one_family=len(families) == 1) for other in rows]
    own = _parts(row, one_family=len(families) == 1)
    kept = [own[0], *(part for index, part in enumerate(own) if index and len({other[index] for other in parts}) > 1)]
    return " ".join(part for part in kept if part)


def _parts(row: Row, *, one_family: bool) -> tuple[str, ...]:
    stored, executed = row.stored_precision or "", row.executed_precision or ""
    network = row.network
    return (
        row.engine,
        f"{stored} in {executed}" if stored and executed and executed != stored else stored or executed,
        "" if network is None else f"B={network.base_filters}" if one_family else network.name,
        f"x{row.batch}",
        "" if row.threads is None else f"{row.threads} thr.",
        "" if row.device == "cpu" else row.device,
        "" if row.frame_shape is None else "x".join(map(str, row.frame_shape)),
    )
