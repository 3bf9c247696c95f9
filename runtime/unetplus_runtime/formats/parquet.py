"""Table of nuclei as Parquet, which says what computed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_runtime.results import result_file

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.formats.segmented import Segmented


def write(path: Path, segmented: Segmented) -> None:
    """Write the table: the columns of the CSV table, with all digits.

    The schema's metadata holds the provenance by name, each with `unetplus.` before it:
    `unetplus.model` and `unetplus.recipe` are the SHA-256 of the Keras model and of the recipe
    that it was trained by.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {f"unetplus.{name}": value for name, value in segmented.provenance.items()}
    table = pa.table(segmented.result.nuclei.columns(), metadata=metadata)
    # Arrow opens no file whose name is not UTF-8.
    with result_file(path) as unfinished, unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
