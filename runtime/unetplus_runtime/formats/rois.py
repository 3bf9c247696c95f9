"""Nuclei as ImageJ ROIs, in a zip file that its ROI manager opens."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_runtime.formats.outlines import outlines
from unetplus_runtime.results import result_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_runtime.formats.segmented import Segmented

_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0  # of java.awt.geom.PathIterator, with which ImageJ writes shapes
_LARGEST = 60_535  # in the box of an ROI, which has 16 bits: from there on, ImageJ reads -5000 to -1
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of zip files: the same nuclei make the same file


def write(path: Path, segmented: Segmented) -> None:
    """Write one ROI a nucleus, called by its number in the label image.

    A nucleus without holes is a traced ROI, one with holes a composite one. Both select exactly
    the nucleus' pixels. Beyond 60,535 pixels their coordinates are floating point numbers, by which
    ImageJ goes there; the box in their header, which has 16 bits, ends at that.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    labels, nuclei = segmented.result.labels, segmented.result.nuclei
    digits = len(str(nuclei.label.max(initial=0)))
    with result_file(path) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for label, rings in outlines(labels, nuclei):
            name = f"{label:0{digits}}"
            entry = zipfile.ZipInfo(f"{name}.roi", _FIRST_DAY)
            archive.writestr(entry, _roi(name, rings).tobytes(), zipfile.ZIP_DEFLATED)


def _roi(name: str, rings: list[NDArray[np.float64]]) -> Any:
    roi = _traced(name, rings[0]) if len(rings) == 1 else _composite(name, rings)
    for side in ("left", "top", "right", "bottom"):  # roifile would write them modulo 65,536
        setattr(roi, side, min(getattr(roi, side), _LARGEST))
    return roi


def _traced(name: str, ring: NDArray[np.float64]) -> Any:
    from roifile import ROI_TYPE, ImagejRoi

    points = ring[:-1]
    roi = ImagejRoi.frompoints(points.astype(np.int64) if (points % 1 == 0).all() else points, name=name)
    roi.roitype = ROI_TYPE.TRACED
    return roi


def _composite(name: str, rings: list[NDArray[np.float64]]) -> Any:
    from roifile import ROI_TYPE, ImagejRoi

    steps: list[float] = []
    for ring in rings:
        for number, (x, y) in enumerate(ring[:-1].tolist()):
            steps += [_LINE if number else _MOVE, x, y]
        steps.append(_CLOSE)
    left, top = np.floor(rings[0].min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(rings[0].max(axis=0)).astype(int).tolist()
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        name=name,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        shape_roi_size=len(steps),
        multi_coordinates=np.array(steps, np.float32),
    )
