"""Contrast-limited adaptive histogram equalisation on tiles of a fixed size in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def equalise(codes: NDArray[np.uint8], tile: int, clip: float) -> NDArray[np.uint8]:
    """Return a frame with the contrast of each neighbourhood equalised (Zuiderveld 1994).

    OpenCV divides a frame into a number of tiles, so that their size follows the frame's. Here
    the size is given: the frame is continued by reflection to whole tiles and cut afterwards.

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
