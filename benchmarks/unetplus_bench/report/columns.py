"""The columns of a report's tables: what is said of a row, and in which words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from unetplus_bench.article_figures import ARTICLE_FIGURES
from unetplus_bench.statistics import (
    UNSTEADY,
    coefficient_of_variation,
    median_ms,
    patches_per_second,
    percentile_ms,
    ratio_to_reference,
    reference_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_bench.results import AccuracyRecord, BenchmarkResult, Row, Scope

NOT_SCORED: Final = "not scored"
NONE: Final = "-"
_SCORE: Final = "Kaggle score, validation"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    title
        Its head.
    cell
        What it says of a row of a result.
    number
        Whether its cells are numbers, which are aligned to the right.
    """

    title: str
    cell: Callable[[Row, BenchmarkResult], str]
    number: bool = True


def number(value: float | None, digits: int) -> str:
    """Return a number with so many digits after the point, so that a column's points are aligned, or "-".

    >>> [number(value, 2) for value in (0.0123456, 3.4, 12345.6, None)]
    ['0.01', '3.40', '12,345.60', '-']
    """
    return NONE if value is None else f"{value:,.{digits}f}"


def ms_digits(scope: Scope, result: BenchmarkResult) -> int:
    """Return how many digits after the point the milliseconds of a table have: more where a row takes less than one."""
    medians = [median for row in result.rows if row.scope == scope and (median := median_ms(row)) is not None]
    return 2 if min(medians, default=1.0) >= 1 else 3


def accuracy_of(row: Row, images: str) -> AccuracyRecord | None:
    """Return a row's scores on a set of images, or None."""
    return next((one for one in row.accuracy if one.images == images), None)


def unsteady(row: Row) -> bool:
    """Return whether a row's times vary so much that a reader must be warned.

    Those of different frames, which wait for each other, do so by themselves: then there is no warning.
    """
    variation = None if row.camera is not None else coefficient_of_variation(row)
    return variation is not None and variation > UNSTEADY


def _percentile(q: float, row: Row, result: BenchmarkResult) -> str:
    return number(percentile_ms(row, q), ms_digits(row.scope, result))


def _score(images: str, field: str, row: Row, _: BenchmarkResult) -> str:
    scores = accuracy_of(row, images)
    return NOT_SCORED if scores is None else number(getattr(scores, field), 3)


def _variation(row: Row, _: BenchmarkResult) -> str:
    variation = coefficient_of_variation(row)
    return NONE if variation is None else f"{'⚠ ' if unsteady(row) else ''}{100 * variation:.1f} %"


def _ratio(row: Row, result: BenchmarkResult) -> str:
    reference = reference_of(row, result.rows)
    return number(None if reference is None else ratio_to_reference(row, reference), 3)


def _article(row: Row, _: BenchmarkResult) -> str:
    figure = ARTICLE_FIGURES.get(row.network.name) if row.network is not None and row.scope == "net" else None
    return NONE if figure is None else figure.text


def _dropped(row: Row, _: BenchmarkResult) -> str:
    if row.camera is None:
        return NONE
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(row.camera.dropped.items()))
    return f"{sum(row.camera.dropped.values())} of {row.camera.settled}" + (f" ({reasons})" if reasons else "")


def _verified(row: Row, _: BenchmarkResult) -> str:
    return {True: "yes", False: "no", None: NONE}[row.verified]


def _network(field: str, per: float, digits: int, row: Row, _: BenchmarkResult) -> str:
    value = None if row.network is None else getattr(row.network, field)
    return number(None if value is None else value / per, digits)


def _of_row(field: str, per: float, digits: int, row: Row, _: BenchmarkResult) -> str:
    value = getattr(row, field)
    return number(None if value is None else value / per, digits)


_NAME = Column("row", lambda row, _: row.name, number=False)

SPEED: Final = (
    _NAME,
    *(Column(f"p{q}, ms", partial(_percentile, q)) for q in (50, 90, 95, 99)),
    Column(_SCORE, partial(_score, "validation_images", "kaggle_score")),
    Column("IOU, validation", partial(_score, "validation_images", "average_iou")),
    Column("Kaggle score, test", partial(_score, "test_images", "kaggle_score")),
    Column("IOU, test", partial(_score, "test_images", "average_iou")),
    Column("to Keras", _ratio),
    Column("a second", lambda row, _: number(patches_per_second(row), 1)),
    Column("asked, a second", lambda row, _: number(row.rate, 1)),
    Column("dropped", _dropped, number=False),
    Column("variation", _variation),
    Column("stored", lambda row, _: row.stored_precision or NONE, number=False),
    Column("executed", lambda row, _: row.executed_precision or NONE, number=False),
    Column("verified", _verified, number=False),
    Column("batch", partial(_of_row, "batch", 1, 0)),
    Column("threads", partial(_of_row, "threads", 1, 0)),
    Column("frame", lambda row, _: NONE if row.frame_shape is None else " x ".join(map(str, row.frame_shape))),
    Column("device", lambda row, _: row.device, number=False),
    Column("engine", lambda row, _: row.library or row.engine, number=False),
    Column("the article's ms", _article),
)
"""Times and, beside them, how well that segments; then what the times are of."""

COST: Final = (
    _NAME,
    Column("network", lambda row, _: NONE if row.network is None else row.network.name, number=False),
    Column("B", partial(_network, "base_filters", 1, 0)),
    Column("weights", partial(_network, "weights", 1, 0)),
    Column("GMAC a patch", partial(_network, "macs", 1e9, 3)),
    Column("file, MB", partial(_of_row, "file_bytes", 1e6, 2)),
    Column("peak memory, MB", partial(_of_row, "peak_memory", 1e6, 0)),
    Column("loading, s", partial(_of_row, "load_seconds", 1, 2)),
    Column("first call, ms", partial(_of_row, "first_seconds", 1e-3, 1)),
    Column("J a patch", partial(_of_row, "energy_per_patch", 1, 4)),
)
"""What a row is made of and needs beside time."""


def shown(columns: tuple[Column, ...], rows: tuple[Row, ...], result: BenchmarkResult) -> tuple[Column, ...]:
    """Return the columns that say something of at least one row, or that no row is scored at all."""

    def says(column: Column) -> bool:
        cells = {column.cell(row, result) for row in rows}
        return bool(cells - {NONE, NOT_SCORED}) or (column.title == _SCORE and not any(row.accuracy for row in rows))

    return tuple(column for column in columns if says(column))
