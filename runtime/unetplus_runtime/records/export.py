"""`unetplus-runtime export-results`: records as one table, also while a daemon writes them."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from unetplus_edge.commands import Command
from unetplus_edge.errors import OutputError
from unetplus_runtime.configuration.settings import default_data_dir
from unetplus_runtime.formats import require_formats
from unetplus_runtime.records.reading import RecordReader
from unetplus_runtime.records.rows import FRAME_COLUMNS, NUCLEUS_COLUMNS, to_row
from unetplus_runtime.results import result_file, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from unetplus_runtime.records.record import Committed

    Row = dict[str, str | float | int | bool | None]

_TIMES = ("captured", "captured_monotonic", "device_time", "processed")
_BOOLEANS = ("simulated", "recording", "touches_border")
_WHOLE = ("id", "frame", "life", "sequence", "height", "width", "nuclei", "on_border", "file_bytes", "label", "area")
_WORDS = (
    "captured_utc",
    *("run", "camera", "source", "dtype", "timings", "metadata", "model_hash", "configuration_hash"),
    *("file_path", "labels_file", "frame_file", "overlay_file"),
)
_OF_FRAME = ("captured", "run", "life", "sequence", "camera", "source", "simulated", "file_path", "file_page")
_MICROMETRES = ("area_um2", "centroid_y_um", "centroid_x_um", "equivalent_diameter_um")
_AT_ONCE = 10_000  # rows


class Selection(NamedTuple):
    """Which frames are meant.

    Attributes
    ----------
    since, until
        When they were captured, seconds since 1970; None for any time.
    run
        Id of the run, the beginning of it, or "last"; None for all.
    """

    since: float | None = None
    until: float | None = None
    run: str | None = None


def export_table(reader: RecordReader, out: Path, selection: Selection, *, nuclei: bool) -> int:
    """Write a table of frames, or of nuclei, and return how many rows it has.

    Parameters
    ----------
    reader
        The records.
    out
        The file; its ending says what it becomes: .csv or .parquet.
    selection
        Which frames.
    nuclei
        Whether each row is a nucleus.

    Raises
    ------
    InputError
        If there is no such run.
    OutputError
        If the ending is another one, a library is missing, or the file cannot be written.
    """
    kind = out.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise OutputError(f"{out} is no table that can be written; end it in .csv or .parquet")
    if kind == ".parquet":
        require_formats(["parquet"])
    run = None if selection.run is None else reader.run_id(selection.run)
    frames = reader.frames(since=selection.since, until=selection.until, run=run)
    columns = nucleus_table_columns() if nuclei else ["id", "captured_utc", *FRAME_COLUMNS]
    rows = _Counted(_nuclei(reader, frames) if nuclei else map(_frame, frames))
    if kind == ".csv":
        write_table(out, columns, map(_full_times, rows))
    else:
        _write_parquet(out, columns, iter(rows))
    return rows.count


def nucleus_table_columns() -> list[str]:
    """Return the columns of a table of nuclei."""
    return ["frame", "captured_utc", *_OF_FRAME, "pixel_size", *NUCLEUS_COLUMNS, *_MICROMETRES]


class _Counted:
    """Rows, and how many went by."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def _frame(committed: Committed) -> Row:
    number, record, _ = committed
    row: Row = {"id": number, "captured_utc": _utc(record.captured)}
    for column, value in to_row(record).items():
        text = os.fsdecode(value) if isinstance(value, bytes) else value
        row[column] = text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text
    return row


def _nuclei(reader: RecordReader, frames: Iterable[Committed]) -> Iterator[Row]:
    for committed in frames:
        frame = _frame(committed)
        size = committed.record.pixel_size
        known = {column: frame[column] for column in ("captured_utc", *_OF_FRAME, "pixel_size")}
        for nucleus in reader.nuclei(committed.id):
            micrometres: dict[str, float | None] = dict.fromkeys(_MICROMETRES)
            if size is not None:
                micrometres["area_um2"] = nucleus["area"] * size**2
                for column in ("centroid_y", "centroid_x", "equivalent_diameter"):
                    micrometres[f"{column}_um"] = nucleus[column] * size
            touches = {"touches_border": bool(nucleus["touches_border"])}
            yield {"frame": committed.id, **known, **nucleus, **touches, **micrometres}


def _full_times(row: Row) -> Row:
    """Return a row whose times have microseconds: seven digits of the time since 1970 are no time."""
    times = {column: row[column] for column in _TIMES if column in row}
    return row | {column: None if value is None else f"{value:.6f}" for column, value in times.items()}


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def _write_parquet(out: Path, columns: list[str], rows: Iterator[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def kind(column: str) -> pa.DataType:
        if column in _BOOLEANS:
            return pa.bool_()
        if column in _WORDS:
            return pa.string()
        whole = column in _WHOLE or column.startswith("bbox_") or (column.startswith("file_") and column != "file_path")
        return pa.int64() if whole else pa.float64()

    schema = pa.schema([(column, kind(column)) for column in columns])
    with result_file(out) as unfinished, pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        while some := list(islice(rows, _AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(some, schema=schema))


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
    except ValueError as error:
        raise click.BadParameter(f"{value} is no time; write 2026-05-17 or 2026-05-17T13:45:00+02:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


@click.command(cls=Command, epilog="Example: unetplus-runtime export-results --out frames.csv --run last")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    help="Folder of the daemon.  [default: unetplus-edge in the user's state folder]",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Table to write: FILE.csv or FILE.parquet.",
)
@click.option("--nuclei", is_flag=True, help="A row a nucleus, instead of a row a frame.")
@click.option("--since", callback=_moment, metavar="TIME", help="Frames captured from then on; UTC if it does not say.")
@click.option("--until", callback=_moment, metavar="TIME", help="Frames captured before then.")
@click.option("--run", metavar="ID", help="Frames of one run: the first letters of its id, or last.")
@click.option("--overwrite", is_flag=True, help="Replace a table that exists.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def export_results(
    data_dir: Path,
    out: Path,
    nuclei: bool,
    since: float | None,
    until: float | None,
    run: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write what a daemon has recorded as one table; the daemon may go on meanwhile."""
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already; replace it with --overwrite")
    with RecordReader(data_dir) as reader:
        rows = export_table(reader, out, Selection(since, until, run), nuclei=nuclei)
    if not quiet:
        what = ("nucleus" if rows == 1 else "nuclei") if nuclei else ("frame" if rows == 1 else "frames")
        click.echo(f"{rows:,} {what} in {click.format_filename(out)}")
