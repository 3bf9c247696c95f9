"""A report as Markdown: tables alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_bench.article_figures import APART, ARTICLE, ARTICLE_FIGURES
from unetplus_bench.device.words import flat_facts
from unetplus_bench.report.columns import COST, SPEED, shown
from unetplus_bench.report.contents import PROTOCOLS, SCOPES
from unetplus_edge.commands import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unetplus_bench.report.columns import Column
    from unetplus_bench.report.contents import Measurement, Section
    from unetplus_bench.results import BenchmarkResult, Row

_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "@": "&#64;",
    "://": "&#58;//",
    "www.": "www&#46;",
    **{letter: f"\\{letter}" for letter in "\\`*_[]|~#!$"},
}


def escaped(text: str) -> str:
    r"""Return a string so that Markdown shows it and does nothing else with it.

    >>> print(escaped("a|b *c* <img src=x> [d](http://e)\n# f"))
    a\|b \*c\* &lt;img src=x&gt; \[d\](http&#58;//e)\\n\# f
    """
    rest, done = printable(text), []
    while rest:
        found = next((piece for piece in _ESCAPES if rest.startswith(piece)), rest[0])
        done.append(_ESCAPES.get(found, found))
        rest = rest[len(found) :]
    return "".join(done)


def markdown_report(measurements: Sequence[Measurement]) -> str:
    """Return a report of measurements, each by itself: nothing is a ratio of two machines."""
    blocks = ["# ms/patch, measured"]
    for measurement in measurements:
        blocks.extend(_measurement(measurement))
    blocks.extend(_article())
    return "\n\n".join(blocks) + "\n"


def _measurement(measurement: Measurement) -> Iterator[str]:
    result = measurement.result
    yield f"## {escaped(measurement.device)}"
    yield f"{escaped(measurement.label)}. {PROTOCOLS[result.protocol]} Measured {escaped(result.began)}."
    if measurement.warnings:
        yield "\n>\n".join(f"> **Warning:** {escaped(warning)}" for warning in measurement.warnings)
    for section in measurement.sections:
        yield from _section(section, measurement)
    facts = [f"| {escaped(name)} | {escaped(value)} |" for name, value in flat_facts(result.device)]
    yield "<details><summary>The machine, and what was typed</summary>"
    yield "\n".join(["| fact | value |", "| --- | --- |", f"| command | {escaped(result.command)} |", *facts])
    yield "</details>"


def _section(section: Section, measurement: Measurement) -> Iterator[str]:
    imported = ", imported from trtexec" if measurement.imported else ""
    yield f"### {section.scope}: {SCOPES[section.scope]}{imported}"
    if section.timed:
        yield f"Milliseconds a {section.unit}, with how well it segments."
        yield _table(SPEED, section.timed, measurement.result)
        yield _table(COST, section.timed, measurement.result)
        stages = _stages(section)
        if stages:
            yield stages
    if section.failed:
        yield "\n".join(f"- {escaped(row.name)}: {escaped(row.error or '')}" for row in section.failed)


def _table(columns: tuple[Column, ...], rows: tuple[Row, ...], result: BenchmarkResult) -> str:
    kept = shown(columns, rows, result)
    return _lines(
        [escaped(column.title) for column in kept],
        ["---:" if column.number else "---" for column in kept],
        [[escaped(column.cell(row, result)) for column in kept] for row in rows],
    )


def _stages(section: Section) -> str | None:
    names = list(dict.fromkeys(stage for row in section.timed for stage in row.stages))
    if not names:
        return None
    return _lines(
        ["median ms of each stage", *map(escaped, names)],
        ["---", *["---:"] * len(names)],
        [
            [
                escaped(row.name),
                *(f"{1e3 * row.stages[name] / row.batch:.2f}" if name in row.stages else "-" for name in names),
            ]
            for row in section.timed
            if row.stages
        ],
    )


def _article() -> Iterator[str]:
    yield "## The article's own figures"
    yield f"{ARTICLE}. {APART}"
    yield _lines(
        ["network", "ms a patch"],
        ["---", "---:"],
        [[escaped(figure.title), figure.text] for figure in ARTICLE_FIGURES.values()],
    )


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table whose first line is its head and whose columns after the first are aligned to the right."""
    header, *rows = lines
    return _lines(header, ["---", *["---:"] * (len(header) - 1)], rows)


def _lines(header: Sequence[str], rule: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *rows))
