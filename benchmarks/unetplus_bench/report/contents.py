"""What a report is made of: measurements, each with its rows by scope, before they are put into a format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from unetplus_bench.device.words import device_title
from unetplus_bench.report.columns import unsteady
from unetplus_bench.results import NET_SCOPES, Scope, read_result
from unetplus_bench.statistics import UNSTEADY
from unetplus_edge.errors import InputError, OutputError
from unetplus_edge.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unetplus_bench.results import BenchmarkResult, Row

SCOPES: Final[dict[Scope, str]] = {
    "net": "the engine's own call, on patches that are where it computes",
    "net+copies": "the engine's call, with what goes to a GPU and back",
    "frame": "from a raw frame to measured nuclei",
    "camera": "from the capture of a frame to its measured nuclei, frames coming at a fixed rate",
}
"""The scopes in the order of a report, and what one time covers."""

PROTOCOLS: Final = {
    "rounds": "Rows took turns, round after round.",
    "article": "Timed as the article timed its networks: 53 test images, 174 patches, five repeats.",
    "trtexec": "Imported from a log of trtexec: not measured by this project.",
}


@dataclass(frozen=True)
class Section:
    """The rows of a measurement that are of one scope.

    Attributes
    ----------
    scope
        Of them all.
    timed, failed
        Rows with times, and rows that say why they have none.
    """

    scope: Scope
    timed: tuple[Row, ...]
    failed: tuple[Row, ...]

    @property
    def unit(self) -> str:
        """What the times are of."""
        return "patch" if self.scope in NET_SCOPES else "frame"


@dataclass(frozen=True)
class Measurement:
    """A result file, and what a reader is told of it.

    Attributes
    ----------
    label
        What the report calls the file.
    result
        Its content.
    device
        Its machine in a few words.
    sections
        Its rows by scope.
    warnings
        Those of the file, and of what its rows show.
    """

    label: str
    result: BenchmarkResult
    device: str
    sections: tuple[Section, ...]
    warnings: tuple[str, ...]

    @property
    def imported(self) -> bool:
        """Whether the figures are another tool's."""
        return self.result.protocol == "trtexec"


def measurements_of(paths: Sequence[Path]) -> tuple[Measurement, ...]:
    """Read result files, in the order in which they are given.

    Raises
    ------
    InputError
        If one cannot be read, is no result, or is given twice.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("a file is named twice; name each once")
    names = [path.name for path in paths]
    labels = [path.name if names.count(path.name) == 1 else str(path) for path in paths]
    return tuple(measurement_of(label, read_result(path)) for label, path in zip(labels, paths, strict=True))


def measurement_of(label: str, result: BenchmarkResult) -> Measurement:
    """Put the rows of a result in order."""
    sections = []
    for scope in get_args(Scope):
        rows = [row for row in result.rows if row.scope == scope]
        if rows:
            timed = tuple(row for row in rows if row.error is None)
            sections.append(Section(scope, timed, tuple(row for row in rows if row.error is not None)))
    return Measurement(label, result, device_title(result.device), tuple(sections), _warnings(result))


def write_report(measurements: Sequence[Measurement], out: Path) -> tuple[Path, Path]:
    """Write `report.md` and `report.html`; the same measurements give the same bytes.

    Parameters
    ----------
    measurements
        In the order of the report.
    out
        A folder, which is made where there is none.

    Returns
    -------
    tuple of Path
        Of both files.

    Raises
    ------
    OutputError
        If they cannot be written there.
    """
    from unetplus_bench.report.html import html_report
    from unetplus_bench.report.markdown import markdown_report

    files = (out / "report.md", out / "report.html")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, text in zip(files, (markdown_report(measurements), html_report(measurements)), strict=True):
            with whole_file(file) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another folder with --out") from error
    return files


def _warnings(result: BenchmarkResult) -> tuple[str, ...]:
    restless = [row.name for row in result.rows if unsteady(row)]
    refused = [row.name for row in result.rows if row.verified is False and row.error is None]
    found = list(result.warnings)
    if restless:
        found.append(
            f"The times of {len(restless)} of {len(result.rows)} rows vary by more than {100 * UNSTEADY:.1f} % "
            f"(⚠ in the table): something else used the machine, or its clock changed."
        )
    if refused:
        found.append(f"Not verified, so not to be used: {', '.join(refused)}.")
    return tuple(found)
