"""`unetplus-bench import-trtexec`: from a log of trtexec to a result file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from unetplus_bench.boards.trtexec import import_trtexec
from unetplus_bench.boards.trtexec_log import read_trtexec_log
from unetplus_edge.commands import Command, command_line, printable
from unetplus_edge.zoo import find_bundle

if TYPE_CHECKING:
    from unetplus_bench.results import BenchmarkResult


@click.command(
    "import-trtexec",
    cls=Command,
    epilog="Example: unetplus-bench import-trtexec fp32.log --device 'Jetson Nano' --out fp32.json",
)
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--device", help="Name of the board, which trtexec does not know.  [default: the GPU's name]")
@click.option("--bundle", help="Whose ONNX file was timed: a folder, or a name in the zoo.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Result file, JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print what the result file holds.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def main(
    context: click.Context,
    log: Path,
    device: str | None,
    bundle: str | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn LOG, all that one run of trtexec printed, into a result file."""
    result = import_trtexec(
        read_trtexec_log(log),
        command_line(context),
        device=device,
        bundle=find_bundle(bundle) if bundle is not None else None,
    )
    if out is not None:
        result.write(out)
    if as_json:
        click.echo(result.model_dump_json(indent=1))
    elif not quiet:
        for warning in result.warnings:
            click.echo(f"warning: {printable(warning)}", err=True)
        Console().print(_table(result))


def _table(result: BenchmarkResult) -> Table:
    first = result.rows[0]
    file = first.name.rpartition(", ")[0]
    title = f"{file}, {result.device['name']}, {first.library}, batch {first.batch}: ms/patch"
    table = Table(title=printable(title), title_justify="left")
    table.add_column("scope")
    table.add_column("computed in")
    for name in first.summary:
        table.add_column(name, justify="right")
    for row in result.rows:
        times = (f"{row.summary[name]:.3f}" for name in first.summary)
        table.add_row(row.scope, row.executed_precision or "not shown", *times)
    return table
