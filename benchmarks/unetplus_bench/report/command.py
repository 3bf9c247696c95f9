"""`unetplus-bench report`: result files as a page and as Markdown."""

from __future__ import annotations

from pathlib import Path

import click

from unetplus_bench.report.contents import measurements_of, write_report
from unetplus_edge.commands import Command


@click.command(
    "report",
    cls=Command,
    epilog="Example: unetplus-bench report desk.json orin.json --out report/",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for report.md and report.html.",
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
def report(files: tuple[Path, ...], out: Path, quiet: bool) -> None:
    """Make a page with plots, and the tables as Markdown, of any number of result FILES.

    The page needs nothing else: no network, no script. The same files give the same bytes.
    """
    written = write_report(measurements_of(files), out)
    if not quiet:
        for path in written:
            click.echo(path)
