"""The blocks of README and docs that are made of result files of speed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from unetplus_bench.device.words import device_title
from unetplus_bench.report.columns import NONE, SPEED
from unetplus_bench.report.contents import measurements_of, write_report
from unetplus_bench.report.markdown import escaped, markdown_table
from unetplus_bench.results import read_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MACHINE: Final = "epyc-2-cores"
"""The folder of results whose speed the pages show: two cores of a server, without a GPU."""

REPORTED: Final = ("net.json", "full.json", "frame.json", "camera.json", "article.json")
"""The result files there of which `report/` is made, in its order."""

_SPEED: Final = {
    "row": "bundle, engine, stored precision",
    "p50, ms": "ms/patch, median",
    "p95, ms": "95 %",
    "Kaggle score, validation": "Kaggle score, validation images",
    "to Keras": "to Keras",
    "executed": "executed precision",
}
_PROTOCOL: Final = {
    "row": "bundle, engine, stored precision",
    "p50, ms": "ms/patch, median",
    "p95, ms": "95 %",
    "Kaggle score, test": "Kaggle score, test images",
    "IOU, test": "IOU, test images",
    "to Keras": "to Keras",
    "executed": "executed precision",
    "the article's ms": "the article, GTX 1080 Ti, FP32",
}
_FRAME: Final = {
    "row": "what",
    "p50, ms": "ms, median",
    "p95, ms": "95 %",
    "Kaggle score, validation": "Kaggle score, validation images",
    "executed": "executed precision",
}
_CAMERA: Final = {
    "row": "what",
    "p50, ms": "ms from capture to result, median",
    "p99, ms": "99 %",
    "a second": "frames a second",
    "asked, a second": "asked for",
    "dropped": "dropped",
}


def committed_report(results: Path, out: Path) -> tuple[Path, Path]:
    """Make the report of the result files of that folder; see `unetplus_bench.report.contents.write_report`."""
    return write_report(measurements_of([results / MACHINE / name for name in REPORTED]), out)


def speed(results: Path) -> str:
    """Return the headline table: ms/patch of every file that ships, in turns."""
    return _rows(results / MACHINE / "net.json", _SPEED)


def article_protocol(results: Path) -> str:
    """Return ms/patch as the article timed it, with the scores on the same images."""
    return _rows(results / MACHINE / "article.json", _PROTOCOL)


def rivals(results: Path) -> str:
    """Return a table a scope: this project's rows and what other people use, in the same run."""
    return _rows(results / MACHINE / "frame.json", _FRAME)


def camera(results: Path) -> str:
    """Return what the whole service did with frames at a fixed rate."""
    return _rows(results / MACHINE / "camera.json", _CAMERA)


def agreement(results: Path) -> str:
    """Return this harness's medians beside those of the libraries' own tools."""
    report = _read(results / MACHINE / "agreement.json")
    lines = [["row", "its own tool", "ratio of medians"]]
    lines += [[escaped(row["row"]), escaped(row["tool"]), f"{row['ratio']:.3f}"] for row in report["rows"]]
    return _with_command(markdown_table(lines), report)


def repeatability(results: Path) -> str:
    """Return how often equal measurements were flagged, and how often a slowed engine was."""
    report = _read(results / "repeatability" / f"{MACHINE}.json")
    slower = f"{escaped(report['slowed_row'])} slowed by {100 * (report['factor'] - 1):.0f} %"
    lines = [["second measurement", "comparisons", "judged", "that engine flagged", "another one flagged"]]
    for kind, title in (("equal", "the same"), ("slowed", slower)):
        counts = ("pairs", "slowed_row_judged", "slowed_row_flagged", "others_flagged")
        lines.append([title, *(str(report[kind][count]) for count in counts)])
    return _with_command(markdown_table(lines), report)


def roofline(results: Path) -> str:
    """Return the machine's peaks, and the fraction of them that each engine reaches."""
    report = _read(results / MACHINE / "roofline.json")
    peaks = report["peaks"]
    at_most = [["at most", "a second", "measured by"]]
    at_most += [[name, f"{peak['rate'] / 1e9:.1f} GMAC", peak["by"]] for name, peak in peaks["compute"].items()]
    at_most += [[name, NONE, escaped(reason)] for name, reason in peaks["refusals"].items()]
    at_most.append(["memory", f"{peaks['memory']['rate'] / 1e9:.1f} GB", peaks["memory"]["by"]])
    reached = [["engine", "stored, executed", "ms", "at least, ms", "reached"]]
    for one in report["engines"]:
        times = [NONE if one[key] is None else f"{1e3 * one[key]:.2f}" for key in ("seconds", "roof")]
        fraction = NONE if one["fraction"] is None else f"{100 * one['fraction']:.0f} %"
        reached.append([one["engine"], f"{one['stored']}, {one['executed']}", *times, fraction])
    return _with_command(f"{markdown_table(at_most)}\n\n{markdown_table(reached)}", report)


def _rows(path: Path, titles: Mapping[str, str]) -> str:
    """Return a table of each scope of a result file, with the columns that are asked for."""
    result = read_result(path)
    kept = [column for column in SPEED if column.title in titles]
    tables = []
    for scope in dict.fromkeys(row.scope for row in result.rows):
        rows = [row for row in result.rows if row.scope == scope and row.error is None]
        told = [column for column in kept if any(column.cell(row, result) != NONE for row in rows)]
        cells = [[escaped(column.cell(row, result)) for column in told] for row in rows]
        tables.append(markdown_table([[titles[column.title] for column in told], *cells]))
    return "\n\n".join([f"{device_title(result.device)}:", *tables, f"```sh\n{result.command}\n```"])


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _with_command(text: str, report: Mapping[str, Any]) -> str:
    return f"{text}\n\n```sh\n{report['command']}\n```"


RENDERERS: Final[Mapping[str, Callable[[Path], str]]] = {
    "speed": speed,
    "article-protocol": article_protocol,
    "rivals": rivals,
    "camera": camera,
    "agreement": agreement,
    "repeatability": repeatability,
    "roofline": roofline,
}
