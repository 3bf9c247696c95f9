"""Many pictures on one sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_WHITE = (255, 255, 255)


def tiled(pictures: Iterable[NDArray[np.uint8]], columns: int, side: int, gap: int = 4) -> NDArray[np.uint8]:
    """Return pictures side by side, each scaled to the same square.

    Parameters
    ----------
    pictures
        At least one, all grey, shape (height, width), or all RGB, shape (height, width, 3).
    columns
        Pictures in a row.
    side
        Height and width that each is scaled to, in pixels.
    gap
        White pixels around each.

    Returns
    -------
    numpy.ndarray
        uint8, grey or RGB as they are; rows are filled from the left, empty places are white.
    """
    scaled = (cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in pictures)
    tiles = [cv2.copyMakeBorder(tile, gap, 0, gap, 0, cv2.BORDER_CONSTANT, value=_WHITE) for tile in scaled]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    sheet = np.vstack([np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)])
    return np.asarray(cv2.copyMakeBorder(sheet, 0, gap, 0, gap, cv2.BORDER_CONSTANT, value=_WHITE), np.uint8)
