"""From the three classes of pixels to a label image: small holes, cores that grow and are joined, small nuclei."""

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
    source: NDArray[Any], threshold: float, core_threshold: float | None, constants: Postprocessing
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

    Returns
    -------
    numpy.ndarray
        int32, same shape: 0 = background, nuclei numbered from 1 without gaps, in the order of
        the first pixels of their cores, row by row.
    """
    kernels = _kernels()
    if kernels is None:
        return label_slowly(source, threshold, core_threshold, constants)
    label_frame, join_nuclei = kernels
    labels = np.empty(source.shape, np.int32)
    limit = source.dtype.type if np.issubdtype(source.dtype, np.floating) else float
    begins, kinds, rows, count = label_frame(
        np.ascontiguousarray(source),
        limit(threshold),
        limit(threshold if core_threshold is None else core_threshold),
        core_threshold is not None,
        constants.max_hole_area,
        constants.min_core_area,
        constants.core_reach,
        constants.min_nucleus_area,
        constants.connectivity,
        labels,
    )
    some_go = constants.min_nucleus_area > constants.min_core_area  # else none is too small: a core only grows
    if core_threshold is not None and (some_go or constants.join_border is not None):
        join_nuclei(begins, kinds, rows, count, constants.join_border or 0.0, constants.min_nucleus_area, labels)
    return labels


@cache
def _kernels() -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """Return the compiled kernels, that of labelling and that of joining, or None where numba is not installed."""
    if find_spec("numba") is None:
        return None
    from unetplus_edge.imaging.joins_numba import join_nuclei
    from unetplus_edge.imaging.labels_numba import label_frame

    return label_frame, join_nuclei


def label_slowly(
    source: NDArray[Any], threshold: float, core_threshold: float | None, constants: Postprocessing
) -> NDArray[np.int32]:
    """`label` by OpenCV and NumPy: the reference of the compiled kernel."""
    mask = (source > threshold).astype(np.uint8)
    if constants.max_hole_area:
        fill_holes(mask, constants.max_hole_area, connectivity=12 - constants.connectivity)
    if core_threshold is None:
        components = cv2.connectedComponents(mask, connectivity=constants.connectivity)[1]
        return _numbered(components, constants.min_nucleus_area)
    cores = (source > core_threshold).astype(np.uint8)
    labels = _numbered(cv2.connectedComponents(cores, connectivity=constants.connectivity)[1], constants.min_core_area)
    _grow(labels, mask > 0, constants.core_reach)
    if constants.join_border is not None:
        labels = _joined(labels, constants)
    areas = np.bincount(labels.ravel())
    kept = (areas >= constants.min_nucleus_area) & (areas > 0)
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


def borders(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return which nuclei of a label image touch, and how long the border between them is.

    Parameters
    ----------
    labels
        int32, shape (height, width): 0 = background.

    Returns
    -------
    numpy.ndarray
        int64, shape (pairs, 3): the lesser number, the greater, and how many pairs of pixels are
        neighbours along an edge, one of the one nucleus and one of the other.
    """
    found = []
    for before, after in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        at = (before != after) & (before > 0) & (after > 0)
        found.append(np.stack((before[at], after[at]), axis=1))
    pairs = np.sort(np.concatenate(found).astype(np.int64), axis=1)
    keys, lengths = np.unique(pairs[:, 0] << 32 | pairs[:, 1], return_counts=True)
    return np.stack((keys >> 32, keys & 0xFFFFFFFF, lengths), axis=1)


def _joined(labels: NDArray[np.int32], constants: Postprocessing) -> NDArray[np.int32]:
    """Return nuclei with a border that is long for their size under one number, the least of theirs."""
    pairs, areas = borders(labels), np.bincount(labels.ravel())
    one, other, lengths = pairs.T
    one, other = pairs[constants.joins(lengths, np.minimum(areas[one], areas[other])), :2].T
    numbers, before = np.arange(len(areas), dtype=np.int32), None
    while before is None or (numbers != before).any():
        before = numbers.copy()
        least = np.minimum(numbers[one], numbers[other])
        np.minimum.at(numbers, one, least)
        np.minimum.at(numbers, other, least)
    joined: NDArray[np.int32] = numbers[labels]
    return joined


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
