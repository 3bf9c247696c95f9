"""Tables of more nuclei than memory holds, written as they come."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from unetplus_runtime.results import result_file, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from unetplus_edge.imaging import Nuclei


def write_csv(path: Path, batches: Iterator[Nuclei], provenance: Mapping[str, str]) -> None:
    """Write the table of `unetplus_runtime.results.write_nuclei`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    first = next(batches)
    write_table(path, list(first.columns()), (row for batch in chain([first], batches) for row in batch.rows()))


def write_parquet(path: Path, batches: Iterator[Nuclei], provenance: Mapping[str, str]) -> None:
    """Write the table of `unetplus_runtime.formats.parquet`, in row groups.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {f"unetplus.{name}": value for name, value in provenance.items()}
    tables = (pa.table(batch.columns(), metadata=metadata) for batch in batches)
    first = next(tables)
    # Arrow opens no file whose name is not UTF-8.
    with (
        result_file(path) as unfinished,
        unfinished.open("wb") as file,
        pq.ParquetWriter(file, first.schema, compression="zstd") as writer,
    ):
        for table in chain([first], tables):
            writer.write_table(table)


LARGE_TABLES: dict[str, Callable[[Path, Iterator[Nuclei], Mapping[str, str]], None]] = {
    "csv": write_csv,
    "parquet": write_parquet,
}
"""By the name that `--formats` takes."""
