"""`unetplus-bench compare`: whether a second measurement is slower than a first one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unetplus_bench.comparing.compare import LIMIT, compare_results
from unetplus_bench.results import read_result
from unetplus_edge.commands import Command, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_bench.comparing.compare import Comparison
    from unetplus_bench.comparing.judged_row import ComparedRow

REGRESSION: Final = 6
"""Exit code where a row has become slower by more than the limit."""

_COLOURS = {"slower": "bold red", "faster": "green", "unclear": "yellow"}


@click.command(
    "compare",
    cls=Command,
    epilog="Example: unetplus-bench compare before.json after.json --limit 0.03",
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    default=LIMIT,
    show_default=True,
    help="How much slower a row may become: 0.05 is 5 %.",
)
@click.option(
    "--yardstick",
    metavar="ROW",
    help="Row of both files that ratios are to, because machines drift.  [default: the files' reference]",
)
@click.option("--times", is_flag=True, help="Judge times themselves: for a machine that does not drift.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.pass_context
def compare(
    ctx: click.Context, a: Path, b: Path, limit: float, yardstick: str | None, times: bool, as_json: bool
) -> None:
    """Compare two result files, row by row: A before, B after.

    A ratio above 1 says that B is slower. A row is flagged where the whole interval of its ratio is past the limit.

    Exit codes: 0 no row is slower; 6 a row is slower by more than the limit; 11 the files cannot be compared.
    """
    if times and yardstick is not None:
        raise click.UsageError("--times has no yardstick; leave one of the two out")
    found = compare_results(read_result(a), read_result(b), limit, yardstick=yardstick, judge_times=times)
    if as_json:
        regressions = [row.name for row in found.regressions]
        click.echo(json.dumps({"a": str(a), "b": str(b), **asdict(found), "regressions": regressions}, indent=2))
    else:
        Console().print(_table(found))
        for sentence in _sentences(found):
            click.echo(printable(sentence))
    if found.regressions:
        ctx.exit(REGRESSION)


def _table(found: Comparison) -> Table:
    table = Table()
    table.add_column("row")
    for title in ("A, ms", "B, ms", "B / A", "interval"):
        table.add_column(title, justify="right")
    table.add_column("ratio")
    table.add_column("verdict")
    for row in found.rows:
        bounds = "-" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
        table.add_row(
            Text(printable(row.name)),
            *(_number(value) for value in (row.a_ms, row.b_ms, row.ratio)),
            bounds,
            row.kind,
            Text(row.verdict, style=_COLOURS.get(row.verdict, "")),
        )
    return table


def _sentences(found: Comparison) -> Iterator[str]:
    if found.yardstick is not None:
        yield f"Ratios to the yardstick are of what a row takes as a multiple of {found.yardstick} in the same rounds."
    reasons: dict[str, list[str]] = {}
    for row in found.rows:
        if row.reason is not None:
            reasons.setdefault(row.reason, []).append(row.name)
    for reason, names in reasons.items():
        yield f"Not judged, because {reason}: {', '.join(names)}."
    for label, alone in (("A", found.only_a), ("B", found.only_b)):
        if alone:
            yield f"In {label} alone: {', '.join(alone)}."
    for sentence in found.differences:
        yield f"Differs: {sentence}."
    for word, rows in (("Faster", found.improvements), ("Slower", found.regressions)):
        if rows:
            yield f"{word} by more than {100 * found.limit:g} %: {', '.join(map(_judged, rows))}."
    if not found.regressions:
        yield "No row is slower beyond the limit."


def _judged(row: ComparedRow) -> str:
    return f"{row.name} (x {row.ratio:.3f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
