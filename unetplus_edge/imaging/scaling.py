"""The raw intensities that become 0 and 1, and the 256 codes between them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from unetplus_edge.imaging.frames import as_frame
from unetplus_edge.imaging.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame

NOISE_SPAN = 20
"""The least range of a frame, in standard deviations of its noise."""

_STRIP = 256
_FAR = 1e38


class FrameRange(NamedTuple):
    """The raw intensities of a whole frame that become 0 and 1."""

    low: float
    high: float


def frame_range(frame: NDArray[np.generic]) -> FrameRange:
    """Return the range of a whole frame: least and greatest value of its 3x3 median.

    The median keeps one hot or dead pixel from setting the scale of all others. The range is at
    least 20 standard deviations of the frame's noise, or a frame without nuclei would be stretched
    until its noise looks like some. That changes the range of no training image. A constant frame
    has no range.

    Parameters
    ----------
    frame
        uint8, uint16 or floating point, shape (height, width).

    Raises
    ------
    InputError
        If the array is no frame.
    """
    raw = as_frame(frame)
    return RangeFinder(raw.shape[1], Workers(1)).find(raw)


class RangeFinder:
    """Finds the range of one frame after another, with buffers of its own, a strip of rows at a time.

    Parameters
    ----------
    width
        Of the frames, in pixels.
    workers
        Who share the strips.
    """

    def __init__(self, width: int, workers: Workers) -> None:
        self._width = width
        self._workers = workers
        # One a worker, of the widest pixels there are.
        self._buffers = [np.empty((_STRIP + 2) * width * 4, np.uint8) for _ in range(workers.threads)]

    def find(self, frame: Frame) -> FrameRange:
        """Return what `frame_range` says of a frame that `as_frame` returned."""
        strips = [(top, min(top + _STRIP, len(frame))) for top in range(0, len(frame), _STRIP)]
        extremes = np.empty((len(strips), 2), frame.dtype)
        parts = [(frame, *strip, found) for strip, found in zip(strips, extremes, strict=True)]
        self._workers.run(self._extremes, parts)
        least, greatest = extremes.min(), extremes.max()
        low, high = float(least), float(greatest)
        if not high > low:
            return FrameRange(low, low)
        steps = np.empty(len(strips), np.float64)
        self._workers.run(
            self._steps, [(frame, *strip, least, greatest, steps[n : n + 1]) for n, strip in enumerate(strips)]
        )
        height, width = frame.shape
        count = (height - 1) * width + height * (width - 1)
        # The mean absolute difference of two normal values is 2 / sqrt(pi) standard deviations.
        # Edges of nuclei are few.
        noise = math.fsum(steps) / max(count, 1) * math.sqrt(math.pi) / 2
        return FrameRange(low, max(high, low + NOISE_SPAN * noise))

    def _extremes(self, frame: Frame, top: int, bottom: int, found: NDArray[Any]) -> None:
        first, last = max(top - 1, 0), min(bottom + 1, len(frame))
        buffer = self._buffers.pop()
        smooth = self._view(buffer, last - first, frame.dtype)
        cv2.medianBlur(frame[first:last], 3, dst=smooth)
        inside = smooth[top - first : bottom - first]
        found[:] = inside.min(), inside.max()
        self._buffers.append(buffer)

    def _steps(
        self, frame: Frame, top: int, bottom: int, least: Any, greatest: Any, total: NDArray[np.float64]
    ) -> None:
        """Write the sum of the absolute differences of neighbours, outliers clipped to the range."""
        last = min(bottom + 1, len(frame))
        buffer = self._buffers.pop()
        clipped = self._view(buffer, last - top, frame.dtype)
        np.clip(frame[top:last], least, greatest, out=clipped)
        factor = 1.0
        if float(greatest) - float(least) > _FAR:  # a difference would overflow float32
            clipped *= clipped.dtype.type(0.25)
            factor = 4.0
        rows = clipped[: bottom - top]
        found = cv2.norm(clipped[1:], clipped[:-1], cv2.NORM_L1) if len(clipped) > 1 else 0.0
        if self._width > 1:
            found += cv2.norm(rows[:, 1:], rows[:, :-1], cv2.NORM_L1)
        total[0] = factor * found
        self._buffers.append(buffer)

    def _view(self, buffer: NDArray[np.uint8], rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        return buffer[: rows * self._width * dtype.itemsize].view(dtype).reshape(rows, self._width)


def codes_of(frame: Frame, low: float, high: float) -> NDArray[np.uint8]:
    """Return a frame as codes: 0 at `low` and below, 255 at `high` and above, to the nearest between.

    So CLAHE has 256 bins whatever the frame's bit depth is: frames of 8, 12 and 16 bits of one scene
    come out alike, as an 8-bit camera with the best gain would have given them, and a table of 65,536
    bins, which costs OpenCV many times as much, is not needed. Rounding adds a noise of 0.29 codes.
    Where the range is the least that there is, 20 standard deviations of the frame's noise, that is
    0.02 of one; where the range is wider, CLAHE makes of one code at most `clahe_clip` + 1 codes, so
    that no step of rounding becomes more than that, in 255, of what a network reads.

    Parameters
    ----------
    frame
        As `as_frame` returns it.
    low, high
        The range.
    """
    if np.issubdtype(frame.dtype, np.floating):
        return _quantised(frame, low, high)
    levels = np.arange(256 if frame.dtype == np.uint8 else 65_536)
    return _quantised(levels, low, high)[frame]


def _quantised(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    # In float64 neither a far-off pixel nor the difference of two float32 can overflow.
    parts = (values.astype(np.float64) - low) / (high - low)
    return np.rint(255 * np.clip(parts, 0, 1)).astype(np.uint8)
