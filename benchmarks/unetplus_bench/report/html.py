"""A report as one page of HTML that needs nothing else: no network, no script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_bench.article_figures import APART, ARTICLE, ARTICLE_FIGURES
from unetplus_bench.device.words import flat_facts
from unetplus_bench.report.chart_latency import latency_chart
from unetplus_bench.report.chart_scatter import accuracy_chart, cost_charts
from unetplus_bench.report.chart_stages import stages_chart
from unetplus_bench.report.charts import engine_class
from unetplus_bench.report.columns import COST, SPEED, shown
from unetplus_bench.report.contents import PROTOCOLS, SCOPES
from unetplus_bench.report.markup import element, html_text, style
from unetplus_bench.report.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from unetplus_bench.report.columns import Column
    from unetplus_bench.report.contents import Measurement, Section
    from unetplus_bench.results import BenchmarkResult, Row

_TITLE = "ms/patch, measured"


def html_report(measurements: Sequence[Measurement]) -> str:
    """Return a page of measurements, each by itself: nothing is a ratio of two machines."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # Whatever should slip into the page loads nothing and runs nothing.
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("title", _TITLE),
        style(STYLE),
    )
    body = element(
        "body",
        element("h1", _TITLE),
        element(
            "p",
            "Each measurement is shown by itself: no ratio is of two machines. ",
            "Every time stands beside the scores of what was timed.",
            class_="quiet",
        ),
        _contents(measurements) if len(measurements) > 1 else None,
        element("main", *(_measurement(each, index) for index, each in enumerate(measurements, 1))),
        _article(),
    )
    return "<!DOCTYPE html>\n" + html_text(element("html", head, body, lang="en")) + "\n"


def _contents(measurements: Sequence[Measurement]) -> Element:
    links = (
        element("li", element("a", each.device, href=f"#measurement-{index}"), f" ({each.label})", _mark(each))
        for index, each in enumerate(measurements, 1)
    )
    return element("nav", element("ul", *links), aria_label="Measurements")


def _measurement(measurement: Measurement, index: int) -> Element:
    result = measurement.result
    warnings = measurement.warnings
    return element(
        "section",
        element("h2", measurement.device, _mark(measurement), id=f"measurement-{index}"),
        element("p", f"{measurement.label}. {PROTOCOLS[result.protocol]} Measured {result.began}.", class_="quiet"),
        element(
            "div",
            element("strong", "Warning" if len(warnings) == 1 else f"{len(warnings)} warnings"),
            element("ul", *(element("li", warning) for warning in warnings)),
            class_="warnings",
            role="note",
        )
        if warnings
        else None,
        *(_section(section, measurement) for section in measurement.sections),
        _facts(result),
    )


def _section(section: Section, measurement: Measurement) -> Element:
    result = measurement.result
    drawn = [
        figure
        for figure in (
            latency_chart(section, result),
            accuracy_chart(section),
            stages_chart(section),
            *cost_charts(section),
        )
        if figure is not None
    ]
    return element(
        "section",
        element("h3", f"{section.scope}: {SCOPES[section.scope]}", _mark(measurement)),
        element("div", *drawn, class_="charts") if drawn else None,
        _table(f"Milliseconds a {section.unit}, and how well it segments", SPEED, section.timed, result),
        _table("What each row is made of and needs", COST, section.timed, result),
        _failed(section.failed),
    )


def _table(caption: str, columns: tuple[Column, ...], rows: tuple[Row, ...], result: BenchmarkResult) -> Element | None:
    if not rows:
        return None
    kept = shown(columns, rows, result)
    return _scrolled(
        caption,
        (element("th", column.title, scope="col", class_="n" if column.number else None) for column in kept),
        (
            element(
                "tr",
                element(
                    "th",
                    element("span", class_=f"spot {engine_class(row)}", aria_hidden="true"),
                    kept[0].cell(row, result),
                    scope="row",
                ),
                *(
                    element("td", column.cell(row, result), class_="n" if column.number else None)
                    for column in kept[1:]
                ),
            )
            for row in rows
        ),
    )


def _failed(rows: tuple[Row, ...]) -> Element | None:
    if not rows:
        return None
    said = (element("li", element("strong", row.name), f": {row.error}") for row in rows)
    return element("div", element("p", "Not measured:"), element("ul", *said))


def _facts(result: BenchmarkResult) -> Element:
    known = [
        ("command", result.command),
        ("commit", result.commit or "none"),
        ("began", result.began),
        ("ended", result.ended),
        *flat_facts(result.device),
    ]
    rows = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in known)
    head = (element("th", title, scope="col") for title in ("fact", "value"))
    return element(
        "details",
        element("summary", "The machine, and what was typed"),
        _scrolled("As the result file has them", head, rows),
    )


def _article() -> Element:
    rows = (
        element("tr", element("th", figure.title, scope="row"), element("td", figure.text, class_="n"))
        for figure in ARTICLE_FIGURES.values()
    )
    head = (element("th", "network", scope="col"), element("th", "ms a patch", scope="col", class_="n"))
    return element(
        "footer",
        element("h2", "The article's own figures"),
        element(
            "p",
            f"{ARTICLE}. {APART}",
            class_="quiet",
        ),
        _scrolled("Times that the article's text gives", head, rows),
    )


def _mark(measurement: Measurement) -> Element | None:
    return element("span", "imported from trtexec", class_="mark") if measurement.imported else None


def _scrolled(caption: str, head: Iterable[Element], rows: Iterable[Element]) -> Element:
    """Return a table that scrolls by itself where the page is narrower."""
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *rows),
    )
    return element("div", table, class_="scroll", role="region", aria_label=caption, tabindex="0")
