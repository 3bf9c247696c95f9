"""Outlines of nuclei along the edges of their pixels, for programs that draw polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unetplus_edge.imaging import Nuclei

    Ring = NDArray[np.float64]


def outlines(labels: NDArray[np.integer], nuclei: Nuclei) -> Iterator[tuple[int, list[Ring]]]:
    """Yield every nucleus with its rings, in the order of the measurements.

    Parameters
    ----------
    labels
        Label image, shape (height, width); every nucleus is connected along edges or corners.
    nuclei
        Its measurements.

    Yields
    ------
    label : int
        Id of the nucleus.
    rings : list of numpy.ndarray
        As `outline` has them, in pixels of the whole image.
    """
    boxes = zip(nuclei.label, nuclei.bbox_top, nuclei.bbox_left, nuclei.bbox_bottom, nuclei.bbox_right, strict=True)
    for label, top, left, bottom, right in boxes:
        rings = outline(labels[top:bottom, left:right] == label)
        yield int(label), [ring + np.array([left, top]) for ring in rings]


def outline(nucleus: NDArray[np.bool_]) -> list[Ring]:
    """Return the outline of a nucleus, and those of its holes.

    Coordinates are those of ImageJ, QuPath and GeoJSON: x, then y, and the first pixel spans 0 to
    1. A pixel is in the nucleus if and only if its centre is inside the polygon. Edges run along
    those of the pixels but for one case: where pixels meet at a corner only, the outline cuts the
    corner by half a pixel on either side, because a ring may not touch itself.

    Parameters
    ----------
    nucleus
        Booleans, shape (height, width); the pixels that are set are connected along edges or
        corners.

    Returns
    -------
    list of numpy.ndarray
        The outer ring, then one ring a hole; float64, shape (n, 2), the first point once more at
        the end. No ring touches itself or another one.

    Examples
    --------
    >>> outline(np.array([[True, True]]))[0].tolist()
    [[0.0, 0.0], [0.0, 1.0], [2.0, 1.0], [2.0, 0.0], [0.0, 0.0]]
    """
    # On a grid of half pixels, odd places are centres and even ones are edges: there, OpenCV's
    # contour, which runs through the outermost pixels of a shape, runs along the edges of ours.
    height, width = nucleus.shape
    fine = np.zeros((2 * height + 3, 2 * width + 3), np.uint8)
    fine[2:-2:2, 2:-2:2] = nucleus
    fine = cv2.dilate(fine, np.ones((3, 3), np.uint8))
    contours, hierarchy = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    pinched = _pinched(nucleus)
    order = np.argsort(hierarchy[0, :, 3] >= 0, kind="stable")  # the outer ring before the holes
    return [_ring(contours[index][:, 0, :].astype(np.int64) - 1, pinched) for index in order]


def _pinched(nucleus: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return at which corners, of (height + 1, width + 1), two pixels meet that do so nowhere else."""
    padded = np.pad(nucleus, 1)
    upper_left, upper_right = padded[:-1, :-1], padded[:-1, 1:]
    lower_left, lower_right = padded[1:, :-1], padded[1:, 1:]
    pinched: NDArray[np.bool_] = (upper_left == lower_right) & (upper_right == lower_left) & (upper_left != upper_right)
    return pinched


def _ring(points: NDArray[np.int64], pinched: NDArray[np.bool_]) -> Ring:
    # OpenCV takes the short way around an inner corner, diagonally; the corner is the even place.
    after = np.roll(points, -1, axis=0)
    x = np.where(points[:, 0] % 2 == 0, points[:, 0], after[:, 0])
    y = np.where(points[:, 1] % 2 == 0, points[:, 1], after[:, 1])
    inner = (np.abs(after - points) == 1).all(axis=1) & ~pinched[y // 2, x // 2]
    ring = np.stack((points, np.stack((x, y), axis=1)), axis=1).reshape(-1, 2)
    ring = ring[np.stack((np.ones_like(inner), inner), axis=1).ravel()]
    arriving, leaving = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    ring = ring[(arriving != leaving).any(axis=1)]
    return np.concatenate((ring, ring[:1])) / 2
