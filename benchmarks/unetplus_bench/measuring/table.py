"""The table that a measurement prints."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from unetplus_bench.article_figures import ARTICLE, ARTICLE_FIGURES
from unetplus_bench.device.words import device_title
from unetplus_bench.report.columns import COST, NONE, NOT_SCORED, SPEED, unsteady
from unetplus_bench.statistics import UNSTEADY, reference_of
from unetplus_edge.commands import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from unetplus_bench.report.columns import Column
    from unetplus_bench.results import BenchmarkResult, Row, Scope

_UNIT: dict[Scope, str] = {"net": "patch", "net+copies": "patch", "frame": "frame", "camera": "frame"}
_COVERS: dict[Scope, str] = {
    "net": "the network alone",
    "net+copies": "the network, with copies to the GPU and back",
    "frame": "from a raw frame to measured nuclei",
    "camera": "from its capture to measured nuclei, at a fixed rate",
}
_TITLES = {**{f"p{q}, ms": f"p{q}" for q in (50, 90, 95, 99)}, "the article's ms": "article's"}
"""In place of a column's own title, where the title of the table says the unit."""

_WHAT = ("engine", "stored", "executed", "verified", "device", "batch", "threads", "frame")


@dataclass(frozen=True)
class _Part:
    title: str
    columns: Sequence[Column]


def result_tables(result: BenchmarkResult) -> Group:
    """Return what is printed of a result: times by scope, what was timed, and what a reader must know.

    Rows are numbered, so that the parts of a wide table can stand one below the other.
    """
    common = _common_words([row.name for row in result.rows])
    parts: list[RenderableType] = [Text(" · ".join(filter(None, [device_title(result.device), printable(common)])))]
    numbered = list(enumerate(result.rows, start=1))
    for scope in dict.fromkeys(row.scope for row in result.rows):
        rows = [(number, row) for number, row in numbered if row.scope == scope]
        for part in _parts(scope):
            parts += [Text(), _table(part, rows, result, common)]
    parts += map(Text, sentences(result))
    return Group(*parts)


def sentences(result: BenchmarkResult) -> Iterator[str]:
    """Yield what a reader must know beside the numbers: failures, warnings, and what is compared."""
    for number, row in enumerate(result.rows, start=1):
        if row.error is not None:
            yield f"not measured: {number} {printable(row.name)}: {printable(row.error)}"
    measured = [row for row in result.rows if row.error is None]
    if any(map(unsteady, measured)):
        yield f"⚠ the times vary by more than {UNSTEADY:.1%}: the machine is busy, or its clocks change"
    in_turns = [row for row in measured if row.camera is None]
    if in_turns and not any(reference_of(row, result.rows) for row in in_turns):
        yield "there are no ratios to Keras: it was not measured here with the same network and the same work"
    for warning in result.warnings:
        yield f"⚠ {printable(warning)}"
    if any(row.scope == "net" and row.network and row.network.name in ARTICLE_FIGURES for row in measured):
        yield article_note(result, measured)


def article_note(result: BenchmarkResult, rows: Sequence[Row]) -> str:
    """Return what stands below a table that has the article's figures beside measured ones."""
    computed = ", ".join(dict.fromkeys(str(row.executed_precision) for row in rows if row.executed_precision))
    return (
        f"The article's ms are not measured here ({ARTICLE}). The other times are of this machine "
        f"({device_title(result.device)}) in {computed or 'what each row says'}: where they differ, so do hardware, "
        "precision and library at once. A smaller time says what this set-up takes, not that its processor is the "
        "faster one."
    )


def _parts(scope: Scope) -> list[_Part]:
    speed = {column.title: column for column in SPEED}
    times = [column for column in SPEED if column.title not in _WHAT]
    return [
        _Part(f"ms a {_UNIT[scope]}: {_COVERS[scope]}", times),
        _Part("what was timed", [speed["row"], *(speed[title] for title in _WHAT)]),
        _Part("what it is made of and needs", COST),
    ]


def _common_words(names: Sequence[str]) -> str:
    """Return the words that all names begin with, with the space behind; none of a single name."""
    if len(names) < 2:
        return ""
    words = [name.split(" ")[:-1] for name in names]
    shared = list(takewhile(lambda alike: len(set(alike)) == 1, zip(*words, strict=False)))
    return "".join(f"{alike[0]} " for alike in shared)


def _table(part: _Part, rows: Sequence[tuple[int, Row]], result: BenchmarkResult, common: str) -> Table:
    table = Table(title=part.title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", justify="right")
    columns = [column for column in part.columns if _says(column, rows, result)]
    for column in columns:
        title = _TITLES.get(column.title, column.title).replace(", ", "\n")
        table.add_column(title, justify="right" if column.number else "left")
    for number, row in rows:
        failed = row.error is not None
        cells = [column.cell(row, result) for column in columns]
        cells[0] = cells[0].removeprefix(common)
        if failed and part.columns[1].title.startswith("p"):
            cells[1] = "failed"
        table.add_row(str(number), *map(printable, cells), style="dim" if failed else None)
    return table


def _says(column: Column, rows: Sequence[tuple[int, Row]], result: BenchmarkResult) -> bool:
    if column.title == "Kaggle score, validation":
        # Speed is not shown without accuracy, nor without saying that there is none.
        return not any(row.accuracy and row.accuracy[0].images == "test_images" for _, row in rows)
    return any(column.cell(row, result) not in (NONE, NOT_SCORED) for _, row in rows)
