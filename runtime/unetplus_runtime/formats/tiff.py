"""Label image as a TIFF file for ImageJ and everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_runtime.results import write_labels

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.formats.segmented import Segmented


def write(path: Path, segmented: Segmented) -> None:
    """Write the label image; see `unetplus_runtime.results.write_labels`."""
    write_labels(path, segmented.result.labels, segmented.result.nuclei.pixel_size)
