"""Charts with a point a row: accuracy against time, and time against what a row is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unetplus_bench.article_figures import ARTICLE, ARTICLE_FIGURES
from unetplus_bench.report.axes import Axis
from unetplus_bench.report.charts import FONT, WIDTH, chart, dot, engine_class, line, text_width, varying_label, words
from unetplus_bench.report.columns import accuracy_of
from unetplus_bench.report.markup import element
from unetplus_bench.statistics import median_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

    from unetplus_bench.report.contents import Section
    from unetplus_bench.results import Row

_LEFT: Final = 46.0
_RIGHT: Final = WIDTH - 6
_TOP: Final = 8.0
_BOTTOM: Final = 300.0
_LANE: Final = 17.0
_BOLD: Final = 1.1

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """A row in a chart.

    Attributes
    ----------
    row
        What it is of.
    x, y
        Its values on both axes.
    """

    row: Row
    x: float
    y: float


def accuracy_points(section: Section) -> list[Point]:
    """Return time and Kaggle score on the validation images of the rows that have both."""
    return [
        Point(row, ms, scores.kaggle_score)
        for row in section.timed
        if (ms := median_ms(row)) and (scores := accuracy_of(row, "validation_images"))
    ]


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other is better than: none has both less x and no less y, or more y and no more x.

    Rows that are not verified, and points of equal time and score but for the first, are not among them.

    Returns
    -------
    list of Point
        By rising x, and so by rising y.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if point.row.verified is not False and (not front or point.y > front[-1].y):
            front.append(point)
    return front


def accuracy_chart(section: Section) -> Element | None:
    """Return how well rows segment against how long they take, or None where no row has both.

    The article's times are in a lane of their own below: its scores are not those of these images.
    """
    points = accuracy_points(section)
    if not points:
        return None
    lane = [(figure.ms, figure) for figure in ARTICLE_FIGURES.values()] if section.scope == "net" else []
    x = Axis.around([*(point.x for point in points), *(ms for ms, _ in lane)], _LEFT, _RIGHT, logarithmic=True)
    y = Axis.around([point.y for point in points], _BOTTOM, _TOP)
    front = pareto_front(points)
    corners = [(x.at(point.x), y.at(point.y)) for point in front]
    steps = "".join(
        f"H{left:.2f}V{top:.2f}" if index else f"M{left:.2f} {top:.2f}" for index, (left, top) in enumerate(corners)
    )
    marks = [
        *_frame(x, y, f"ms a {section.unit}"),
        element("path", d=f"{steps}H{_RIGHT:g}" if steps else "", class_="front"),
        *_points(points, x, y, front),
    ]
    height = _BOTTOM + 34
    if lane:
        article, height = _article_lane(x, height)
        marks.extend(article)
    best = ", ".join(f"{point.row.name} ({point.x:.3g} ms, {point.y:.3f})" for point in front)
    return chart(
        "Accuracy against time",
        f"Kaggle score on the validation images against milliseconds a {section.unit}, {len(points)} rows. "
        f"No other row is both faster and better than: {best or 'none is verified'}.",
        height,
        marks,
        "Kaggle score on the validation images, upwards. The line is the Pareto front: no row above and left of it. "
        "Hollow: not verified."
        + (" The article's times are of another machine and have no score on these images." if lane else ""),
    )


def cost_charts(section: Section) -> list[Element]:
    """Return time against multiply-accumulates and against file size, where rows differ in them."""
    costs: tuple[tuple[str, str, Callable[[Row], float | None]], ...] = (
        ("GMAC a patch", "Time against computing", _gmac),
        ("MB on disk", "Time against size", lambda row: None if row.file_bytes is None else row.file_bytes / 1e6),
    )
    made = []
    for unit, title, cost in costs:
        points = [Point(row, value, ms) for row in section.timed if (value := cost(row)) and (ms := median_ms(row))]
        if len({point.x for point in points}) < 2:
            continue
        x = Axis.around([point.x for point in points], _LEFT, _RIGHT, logarithmic=True)
        y = Axis.around([point.y for point in points], _BOTTOM, _TOP, logarithmic=True)
        description = (
            f"Milliseconds a {section.unit} against {unit} of {len(points)} rows; every figure is in the tables."
        )
        note = f"Milliseconds a {section.unit}, upwards. Equal distances are equal ratios."
        marks = [*_frame(x, y, unit), *_points(points, x, y, [])]
        made.append(chart(title, description, _BOTTOM + 34, marks, note))
    return made


def _gmac(row: Row) -> float | None:
    return None if row.network is None or row.network.macs is None else row.network.macs / 1e9


def _frame(x: Axis, y: Axis, unit: str) -> list[Element]:
    return [
        *(line(_LEFT, y.at(tick), _RIGHT, y.at(tick), "grid") for tick in y.ticks()),
        *(line(x.at(tick), _TOP, x.at(tick), _BOTTOM, "grid") for tick in x.ticks()),
        *(words(_LEFT - 6, y.at(tick) + 4, f"{tick:g}", anchor="end", class_="tick") for tick in y.ticks()),
        *(words(x.at(tick), _BOTTOM + 15, f"{tick:g}", anchor="middle", class_="tick") for tick in x.ticks()),
        words(_RIGHT, _BOTTOM + 30, unit, anchor="end", class_="tick"),
    ]


def _points(points: Sequence[Point], x: Axis, y: Axis, front: Sequence[Point]) -> list[Element]:
    """Return dots, and labels where there is room for them: those of the front first."""
    rows = [point.row for point in points]
    taken: list[Box] = [_box(x.at(point.x) - 6, y.at(point.y) - 6, 12, 12) for point in points]
    corners = [(x.at(point.x), y.at(point.y)) for point in front]
    for (left, top), (right, above) in zip(corners, [*corners[1:], (_RIGHT, None)], strict=False):
        taken.append(_box(left, top - 1, right - left, 2))
        if above is not None:
            taken.append(_box(right - 1, above, 2, top - above))
    labels, dots = [], []
    for point in sorted(points, key=lambda point: (point not in front, point.x)):
        left, top = x.at(point.x), y.at(point.y)
        label = varying_label(point.row, rows)
        width = text_width(label) * (_BOLD if point in front else 1.0)
        place = _place(left, top, width, taken)
        if place is not None:
            x_of, y_of, anchor = place
            taken.append(_text_box(x_of, y_of, anchor, width))
            labels.append(words(x_of, y_of, label, anchor=anchor, class_="strong" if point in front else None))
        filling = "hollow" if point.row.verified is False else "fill"
        dots.append(
            dot(left, top, 5, f"{filling} {engine_class(point.row)}", f"{point.row.name}: {point.x:.3g}, {point.y:.3g}")
        )
    return [*dots, *labels]


def _place(x: float, y: float, width: float, taken: Sequence[Box]) -> tuple[float, float, str] | None:
    """Return where a label of a point is free of others, and which end of it is there; None where it is nowhere."""
    candidates = (
        (x + 9, y + 4, "start"),
        (x - 9, y + 4, "end"),
        (x, y - 9, "middle"),
        (x, y + 18, "middle"),
        (x, y - 9, "end"),
        (x, y - 9, "start"),
        (x, y + 18, "start"),
        (x + 6, y - 7, "start"),
        (x + 6, y + 15, "start"),
        (x - 6, y - 7, "end"),
        (x - 6, y + 15, "end"),
    )
    for place in candidates:
        box = _text_box(*place, width)
        inside = box[0] >= _LEFT + 1 and box[2] <= _RIGHT and box[1] >= 0 and box[3] <= _BOTTOM
        if inside and not any(_overlap(box, other) for other in taken):
            return place
    return None


def _text_box(x: float, y: float, anchor: str, width: float) -> Box:
    left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    return _box(left, y - FONT + 2, width, FONT)


def _article_lane(x: Axis, top: float) -> tuple[list[Element], float]:
    """Return the article's times along the same axis, in a box of their own, and where it ends."""
    marks = [words(8, top + 18, f"The article ({ARTICLE.partition(': ')[2]})", class_="tick")]
    base = top + 26
    texts = [f"{figure.title}: {figure.text}" for figure in ARTICLE_FIGURES.values()]
    places = [x.at(figure.ms) for figure in ARTICLE_FIGURES.values()]
    # All on one side where there is room.
    left = all(place - 9 - text_width(text) > 4 for place, text in zip(places, texts, strict=True))
    for index, (place, text) in enumerate(zip(places, texts, strict=True)):
        middle = base + _LANE * index + 9
        on_left = left or place + 9 + text_width(text) > WIDTH
        marks += [
            element("path", d=f"M{place:.2f} {middle - 5:.2f}l5 5l-5 5l-5 -5z", class_="article"),
            words(
                place + (-9 if on_left else 9), middle + 4, text, anchor="end" if on_left else "start", class_="tick"
            ),
        ]
    end = base + _LANE * len(ARTICLE_FIGURES) + 4
    box = element("rect", x=1.0, y=top, width=WIDTH - 2, height=end - top, rx=4.0, class_="lane")
    return [box, *marks], end + 2


def _box(left: float, top: float, width: float, height: float) -> Box:
    return (left, top, left + width, top + height)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
