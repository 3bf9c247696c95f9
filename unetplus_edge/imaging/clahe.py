"""Contrast-limited adaptive histogram equalisation on tiles of a fixed size in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def equalise(codes: NDArray[np.uint8], tile: int, clip: float) -> NDArray[np.uint8]:
    """Return a frame with the contrast of each neighbourhood equalised (Zuiderveld 1994).

    OpenCV divides a frame into a number of tiles, so that their size follows the frame's. Here
    the size is given: the frame is continued by reflection to whole tiles and cut afterwards.
    The compiled kernels of `unetplus_edge.imaging.kernels_numba` give the same.

    Parameters
    ----------
    codes
        uint8, shape (height, width).
    tile
        Side of a tile in pixels. With a power of two the interpolation between tiles is exact
        arithmetic, and the result does not depend on where a frame was cut along the tile grid.
    clip
        Most pixels that a histogram bin may hold, in units of the mean over the bins.

    Returns
    -------
    numpy.ndarray
        uint8, same shape.
    """
    height, width = codes.shape
    rows, columns = -(-height // tile), -(-width // tile)
    padded = cv2.copyMakeBorder(codes, 0, rows * tile - height, 0, columns * tile - width, cv2.BORDER_REFLECT_101)
    equalised = cv2.createCLAHE(clip, (columns, rows)).apply(padded)
    return equalised[:height, :width]  # type: ignore[return-value]


def most_in_a_bin(tile: int, clip: float) -> int:
    """Return the most pixels that a bin of a tile may hold, as OpenCV rounds it."""
    return max(int(clip * tile * tile / 256), 1)


def continued(length: int, tile: int) -> NDArray[np.int32]:
    """Return which pixel stands at each place of an axis that is continued to whole tiles.

    >>> continued(6, 8)
    array([0, 1, 2, 3, 4, 5, 4, 3], dtype=int32)
    """
    beyond = range(length, -(-length // tile) * tile)
    reflected = [cv2.borderInterpolate(place, length, cv2.BORDER_REFLECT_101) for place in beyond]
    return np.concatenate([np.arange(length), reflected]).astype(np.int32)
