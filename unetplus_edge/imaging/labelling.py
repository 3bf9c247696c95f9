"""From the three classes of pixels to a label image: small holes, cores that grow, small nuclei."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.imaging.postprocess import Postprocessing


def label(
    source: NDArray[Any], threshold: float, core_threshold: float | None, constants: Postprocessing, smallest: int
) -> NDArray[np.int32]:
    """Return the label image, compiled by numba where it is installed.

    Parameters
    ----------
    source
        Shape (height, width), of numbers.
    threshold, core_threshold
        Mask and cores are where the source is above them; None where nuclei have no cores.
    constants
        All else.
    smallest
        Nuclei of fewer pixels are removed.

    Returns
    -------
    numpy.ndarray
        int32, same shape: 0 = background, nuclei numbered from 1 without gaps, in the order of
        the first pixels of their cores, row by row.
    """
    compiled = _kernel()
    if compiled is None:
        return label_slowly(source, threshold, core_threshold, constants, smallest)
    labels = np.empty(source.shape, np.int32)
    limit = source.dtype.type if np.issubdtype(source.dtype, np.floating) else float
    compiled(
        np.ascontiguousarray(source),
        limit(threshold),
        limit(threshold if core_threshold is None else core_threshold),
        core_threshold is not None,
        constants.max_hole_area,
        constants.min_core_area,
        constants.core_reach,
        smallest,
        constants.connectivity,
        labels,
    )
    return labels


@cache
def _kernel() -> Callable[..., int] | None:
    """Return the compiled kernel, or None where numba is not installed."""
    if find_spec("numba") is None:
        return None
    from unetplus_edge.imaging.labels_numba import label_frame

    kernel: Callable[..., int] = label_frame
    return kernel


def label_slowly(
    source: NDArray[Any], threshold: float, core_threshold: float | None, constants: Postprocessing, smallest: int
) -> NDArray[np.int32]:
    """`label` by OpenCV and NumPy: the reference of the compiled kernel."""
    mask = (source > threshold).astype(np.uint8)
    if constants.max_hole_area:
        fill_holes(mask, constants.max_hole_area, connectivity=12 - constants.connectivity)
    if core_threshold is None:
        return _numbered(cv2.connectedComponents(mask, connectivity=constants.connectivity)[1], smallest)
    cores = (source > core_threshold).astype(np.uint8)
    labels = _numbered(cv2.connectedComponents(cores, connectivity=constants.connectivity)[1], constants.min_core_area)
    _grow(labels, mask > 0, constants.core_reach)
    kept = np.bincount(labels.ravel()) >= smallest
    kept[0] = False
    numbered: NDArray[np.int32] = np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]
    return numbered


def fill_holes(nucleus: NDArray[np.uint8], max_area: int, connectivity: int) -> None:
    """Fill holes in place: background that does not reach the frame's edge.

    Parameters
    ----------
    nucleus
        uint8, shape (height, width): 1 = nucleus, 0 = background.
    max_area
        Holes of at most this many pixels are filled.
    connectivity
        Of the background, which is connected the other way than nuclei are, or a diagonal line of
        nucleus would not enclose anything: 8 where nuclei are connected along edges, else 4.
    """
    _, background, stats, _ = cv2.connectedComponentsWithStats(1 - nucleus, connectivity=connectivity)
    height, width = nucleus.shape
    left, top, across, down, area = stats.T
    hole = (left > 0) & (top > 0) & (left + across < width) & (top + down < height) & (area <= max_area)
    hole[0] = False
    nucleus[hole[background]] = 1


def _grow(labels: NDArray[np.int32], mask: NDArray[np.bool_], reach: int) -> None:
    """Let nuclei grow in place, as many steps along edges of pixels, inside the mask."""
    for _ in range(reach):
        before = np.pad(labels, 1)
        around = np.zeros_like(labels)
        for neighbour in (before[:-2, 1:-1], before[1:-1, :-2], before[1:-1, 2:], before[2:, 1:-1]):
            np.copyto(around, neighbour, where=around == 0)
        claimed = mask & (labels == 0) & (around > 0)
        if not claimed.any():
            return
        np.copyto(labels, around, where=claimed)


def _numbered(labels: NDArray[Any], smallest: int) -> NDArray[np.int32]:
    """Return the parts that are large enough, numbered in the order of their first pixels."""
    areas = np.bincount(labels.ravel())
    first = np.full(len(areas), labels.size)
    first[labels.ravel()[::-1]] = np.arange(labels.size)[::-1]
    kept = (areas >= smallest) & (areas > 0)
    kept[0] = False
    order = np.argsort(first)
    order = order[kept[order]]
    numbers = np.zeros(len(areas), np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    numbered: NDArray[np.int32] = numbers[labels]
    return numbered
