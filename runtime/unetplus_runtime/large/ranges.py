"""The range of raw intensities of a frame that is read block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from unetplus_edge.imaging import FrameRange
from unetplus_edge.imaging.scaling import NOISE_SPAN
from unetplus_runtime.large.blocks import inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_runtime.large.blocks import BlockGrid
    from unetplus_runtime.pages import FrameView

_FAR = 1e38


def large_frame_range(view: FrameView, grid: BlockGrid) -> FrameRange:
    """Return `unetplus_edge.imaging.frame_range` of a frame, reading it twice, block by block.

    Exact for whole numbers; for floating point up to the rounding of a sum in float64.

    Parameters
    ----------
    view
        The frame.
    grid
        Its blocks.

    Raises
    ------
    InputError
        If a part cannot be read or is no frame.
    """
    low, high = np.inf, -np.inf
    for block in grid.blocks:
        rows, columns = grid.around(block.rows, block.columns, 1)  # what a 3x3 median sees
        window = view[rows, columns]
        smooth = cv2.medianBlur(window, 3)[inside(block.rows, rows), inside(block.columns, columns)]
        low, high = min(low, float(smooth.min())), max(high, float(smooth.max()))
    if not high > low:
        return FrameRange(low, low)
    total = 0.0
    for block in grid.blocks:
        # With one row and column more, each pair of neighbours is in one block.
        rows = slice(block.rows.start, min(block.rows.stop + 1, grid.height))
        columns = slice(block.columns.start, min(block.columns.stop + 1, grid.width))
        window = view[rows, columns]
        total += _steps(window, low, high, *block.shape)
    pairs = (grid.height - 1) * grid.width + grid.height * (grid.width - 1)
    noise = total / max(pairs, 1) * np.sqrt(np.pi) / 2
    return FrameRange(low, max(high, low + NOISE_SPAN * float(noise)))


def _steps(window: NDArray[Any], low: float, high: float, height: int, width: int) -> float:
    """Return the sum of the absolute differences of neighbours, outliers clipped to the range."""
    least, greatest = window.min(), window.max()
    if least == greatest:
        return 0.0
    values = window
    if not low <= least <= greatest <= high:
        values = np.clip(window, window.dtype.type(low), window.dtype.type(high))
    factor = 1.0
    if high - low > _FAR:  # a difference would overflow float32
        values, factor = values * values.dtype.type(0.25), 4.0
    neighbours = ((values[1:, :width], values[:-1, :width]), (values[:height, 1:], values[:height, :-1]))
    return factor * sum(float(cv2.norm(after, before, cv2.NORM_L1)) for after, before in neighbours if after.size)
