"""Files that results are made of: label images, pictures, tables, and the summary of a run.

Every file appears whole or not at all.
"""

from __future__ import annotations

import csv
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile

from unetplus_edge.errors import OutputError
from unetplus_edge.files import whole_file, whole_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.imaging import Nuclei

SUMMARY = "summary.csv"


@dataclass(frozen=True)
class SummaryRow:
    """What the summary says of a frame.

    Attributes
    ----------
    id
        Name of its results.
    file
        The image file.
    page
        Page of the file, counted from 1.
    pixel_size
        Side of a pixel in micrometres; None where it is not known.
    pixel_size_from
        Where that comes from, see `unetplus_runtime.pixel_size.PixelSize`; None where nothing is
        said about it.
    height, width
        Pixels.
    nuclei
        How many were found.
    mean_area
        Of the nuclei, in pixels; None (empty in the table) where there are none.
    seconds
        That segmenting took, without reading and writing.
    """

    id: str
    file: str
    page: int
    pixel_size: float | None
    pixel_size_from: str | None
    height: int
    width: int
    nuclei: int
    mean_area: float | None
    seconds: float


def write_labels(path: Path, labels: NDArray[np.int32], pixel_size: float | None = None) -> None:
    """Write a label image as a TIFF file that ImageJ reads, zlib-compressed.

    Parameters
    ----------
    path
        The file.
    labels
        int32, shape (height, width). Written as uint16, past 65,535 as uint32.
    pixel_size
        Side of a pixel in micrometres, for the file's resolution.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    highest = int(labels.max(initial=0))
    # ImageJ's own description has no 32-bit integers, but it reads a plain TIFF file with them.
    imagej = highest <= np.iinfo(np.uint16).max
    metadata: dict[str, float | str] = {"min": 0, "max": max(highest, 1)} if imagej else {}
    resolution = None
    if pixel_size is not None:
        resolution = (1 / pixel_size, 1 / pixel_size) if imagej else (1e4 / pixel_size, 1e4 / pixel_size)
        metadata |= {"unit": "um"} if imagej else {}
    with result_file(path) as unfinished:
        tifffile.imwrite(
            unfinished,
            labels.astype(np.uint16 if imagej else np.uint32),
            imagej=imagej,
            compression="zlib",
            photometric="minisblack",
            resolution=resolution,
            resolutionunit="CENTIMETER" if resolution and not imagej else None,
            metadata=metadata,
        )


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture (uint8 RGB, shape (height, width, 3)) as a PNG file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    _, content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    with result_file(path) as unfinished:
        unfinished.write_bytes(content.tobytes())


def write_nuclei(path: Path, nuclei: Nuclei) -> None:
    """Write the measurements of nuclei as a CSV table, one row a nucleus.

    Numbers have seven significant digits; `touches_border` is 1 or 0.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_table(path, list(nuclei.columns()), nuclei.rows())


def write_summary(folder: Path, rows: Iterable[SummaryRow]) -> None:
    """Write `summary.csv`, one row a frame.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_table(folder / SUMMARY, [field.name for field in fields(SummaryRow)], map(asdict, rows))


def write_table(path: Path, columns: list[str], rows: Iterable[Mapping[str, float | int | bool | str | None]]) -> None:
    """Write a CSV table.

    Parameters
    ----------
    path
        The file.
    columns
        Names, in order.
    rows
        By column name. Floating-point numbers get seven significant digits, booleans become 1
        and 0, None an empty cell.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    # A file name may be no Unicode; then its odd bytes are written as \udc80 to \udcff.
    with (
        result_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([_cell(row[column]) for column in columns] for row in rows)


def write_text(path: Path, text: str) -> None:
    """Write a text file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with result_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _cell(value: float | int | bool | str | None) -> str | int:
    if isinstance(value, float):
        return f"{value:.7g}"
    if value is None:
        return ""
    return int(value) if isinstance(value, bool) else value


@contextmanager
def result_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when the block ends; see `unetplus_edge.files.whole_file`.

    Raises
    ------
    OutputError
        If the system does not write it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def result_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write to, which becomes `path` when the block ends; see `unetplus_edge.files.whole_folder`.

    Raises
    ------
    OutputError
        If the system does not write it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> OutputError:
    """Return the error of a result that the system does not write."""
    reason = error.strerror or str(error)
    return OutputError(f"{path} cannot be written ({reason}); free the disk, or name another --out folder")
