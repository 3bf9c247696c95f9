"""The results of a frame, one file a format."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from unetplus_edge.errors import OutputError
from unetplus_runtime.formats import csv_table, geojson, ome_tiff, ome_zarr, overlay, parquet, rois, tiff
from unetplus_runtime.formats.segmented import Segmented

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["DEFAULT_FORMATS", "FORMATS", "Segmented", "max_name", "require_formats", "result_paths", "write_results"]


@dataclass(frozen=True)
class Format:
    """A kind of result.

    Attributes
    ----------
    ending
        What follows the id of the frame in the name of the file or folder.
    write
        Writes it, whole or not at all.
    library
        Module that writing needs beyond the plain installation, of the extra `formats`.
    """

    ending: str
    write: Callable[[Path, Segmented], None]
    library: str | None = None


FORMATS: dict[str, Format] = {
    "tiff": Format("_labels.tif", tiff.write),
    "overlay": Format("_overlay.png", overlay.write),
    "csv": Format("_nuclei.csv", csv_table.write),
    "parquet": Format("_nuclei.parquet", parquet.write, "pyarrow"),
    "rois": Format("_rois.zip", rois.write, "roifile"),
    "geojson": Format("_nuclei.geojson", geojson.write),
    "ome-tiff": Format("_labels.ome.tif", ome_tiff.write),
    "ome-zarr": Format("_labels.ome.zarr", ome_zarr.write, "zarr"),
}
"""By the name that `--formats` takes."""

DEFAULT_FORMATS = ("tiff", "overlay", "csv")


def require_formats(names: Sequence[str]) -> None:
    """Refuse formats that cannot be written here, before there is anything to write.

    Raises
    ------
    OutputError
        If a library is missing.
    """
    for name in names:
        library = FORMATS[name].library
        if library is not None and find_spec(library) is None:
            raise OutputError(f"{name} results need {library}: pip install 'unetplus-edge[formats]'")


def max_name(names: Sequence[str]) -> int:
    """Return the most bytes of the last part of an id, so that file systems take the names of its results."""
    return 255 - len(".unfinished-") - max(len(FORMATS[name].ending) for name in names)


def result_paths(folder: Path, frame_id: str, names: Sequence[str] = DEFAULT_FORMATS) -> list[Path]:
    """Return where the results of a frame are written, in the order of the formats' names."""
    return [folder / f"{frame_id}{FORMATS[name].ending}" for name in names]


def write_results(folder: Path, frame_id: str, segmented: Segmented, names: Sequence[str] = DEFAULT_FORMATS) -> None:
    """Write the results of a frame, each whole or not at all.

    Parameters
    ----------
    folder
        Of the results. Folders in the id are made below it.
    frame_id
        Name of the results.
    segmented
        The frame with what was found in it.
    names
        Of formats.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    for name, path in zip(names, result_paths(folder, frame_id, names), strict=True):
        FORMATS[name].write(path, segmented)
