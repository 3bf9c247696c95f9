"""Label image as OME-Zarr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_runtime.ngff import create_labels
from unetplus_runtime.results import result_folder

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.formats.segmented import Segmented


def write(path: Path, segmented: Segmented) -> None:
    """Write the label image with its pyramid; see `unetplus_runtime.ngff.create_labels`.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    labels, size = segmented.result.labels, segmented.result.nuclei.pixel_size
    with result_folder(path) as unfinished:
        for level, array in enumerate(create_labels(unfinished, labels.shape, size, segmented.provenance)):
            array[...] = labels[:: 2**level, :: 2**level]
