"""From a raw frame to what a network reads, the same however the frame is cut into blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import cv2
import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from unetplus_edge.imaging.clahe import equalise
from unetplus_edge.imaging.frames import as_frame
from unetplus_edge.imaging.tv import denoise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("must be a power of two, so that equalising a block is exact")
    return value


class Preprocessing(BaseModel):
    """The constants of preprocessing: CLAHE, then total-variation denoising, on a [0, 1] scale.

    Attributes
    ----------
    clahe_tile
        Side of a CLAHE tile in pixels, a power of two.
    clahe_clip
        Clip limit of CLAHE, in units of the mean over the 256 bins of a tile; 256 is no limit.
    tv_weight
        Strength of total-variation denoising of an image in [0, 1]; 0 leaves it out.
    tv_iterations
        Iterations of the denoising; also the halo in pixels that makes a block exact.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    clahe_tile: Annotated[int, Field(ge=8, le=1024), AfterValidator(_power_of_two)] = 64
    clahe_clip: Annotated[float, Field(gt=0, le=256)] = 2.0
    tv_weight: Annotated[float, Field(ge=0)] = 0.05
    tv_iterations: Annotated[int, Field(ge=0)] = 30


_NOISE_SPAN = 20


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
    smooth = cv2.medianBlur(raw, 3)
    low, high = float(smooth.min()), float(smooth.max())
    if not high > low:
        return FrameRange(low, low)
    return FrameRange(low, max(high, low + _NOISE_SPAN * _noise(np.clip(raw, low, high))))


def _noise(frame: NDArray[Any]) -> float:
    # The mean absolute difference of two normal values is 2 / sqrt(pi) standard deviations. Edges
    # of nuclei are few. Whole numbers have the noise of rounding at the least. In float64 no
    # difference of two float32 overflows.
    whole = np.issubdtype(frame.dtype, np.integer)
    values = frame if whole else frame.astype(np.float64)
    neighbours = ((values[1:], values[:-1]), (values[:, 1:], values[:, :-1]))
    steps = [cv2.absdiff(after, before) for after, before in neighbours if after.size]
    count = sum(step.size for step in steps)
    noise = sum(float(step.sum(dtype=np.float64)) for step in steps) / max(count, 1) * np.sqrt(np.pi) / 2
    return max(float(noise), 1 / np.sqrt(12)) if whole else float(noise)


def preprocess(
    frame: NDArray[np.generic], constants: Preprocessing, whole_range: FrameRange | None = None
) -> NDArray[np.float32]:
    """Return a frame as a network reads it.

    The steps of Long 2020 ("Preprocessing"): CLAHE, total-variation denoising, scaling to [0, 1].
    The range that becomes [0, 1] is read from the raw frame and applied ahead of CLAHE, which
    has 256 bins: so 8, 12 and 16-bit frames of one scene come out alike, and no block has to
    wait for the last one. A constant frame becomes 0 everywhere.

    Parameters
    ----------
    frame
        uint8, uint16 or floating point, shape (height, width).
    constants
        The bundle's constants.
    whole_range
        What becomes 0 and 1; None takes `frame_range(frame)`.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], same shape.

    Raises
    ------
    InputError
        If the array is no frame; see `unetplus_edge.imaging.frames.as_frame`.
    """
    raw = as_frame(frame)
    low, high = frame_range(raw) if whole_range is None else whole_range
    if not high > low:
        return np.zeros(raw.shape, np.float32)
    equalised = equalise(_codes(raw, low, high), constants.clahe_tile, constants.clahe_clip)
    scaled = equalised.astype(np.float32) / np.float32(255)
    return denoise(scaled, constants.tv_weight, constants.tv_iterations)


def preprocess_block(
    frame: NDArray[np.generic], rows: slice, columns: slice, constants: Preprocessing, whole_range: FrameRange
) -> NDArray[np.float32]:
    """Return a block of `preprocess(frame)` from that block and its surroundings alone.

    Parameters
    ----------
    frame
        The whole frame, or an object that is sliced like it (a memory map, a Zarr array).
    rows, columns
        The block, with start and stop inside the frame.
    constants
        The bundle's constants.
    whole_range
        `frame_range` of the whole frame.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], the block's shape; within 1e-5 of the same block of the whole frame.
    """
    (top, bottom), (left, right) = (
        _window(block, length, constants) for block, length in zip((rows, columns), frame.shape, strict=True)
    )
    window = preprocess(np.asarray(frame[top:bottom, left:right]), constants, whole_range)
    return window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _window(block: slice, length: int, constants: Preprocessing) -> tuple[int, int]:
    # Denoising reaches as far as it has iterations. Equalised values are wrong in the outer half
    # tile of a window, and windows must lie on the tile grid: hence one tile more on either side.
    tile = constants.clahe_tile
    first = (block.start - constants.tv_iterations) // tile - 1
    last = -(-(block.stop + constants.tv_iterations) // tile) + 1
    return max(first * tile, 0), min(last * tile, length)


def _codes(frame: Frame, low: float, high: float) -> NDArray[np.uint8]:
    if np.issubdtype(frame.dtype, np.floating):
        return _quantised(frame, low, high)
    levels = np.arange(256 if frame.dtype == np.uint8 else 65_536)
    return _quantised(levels, low, high)[frame]


def _quantised(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    # In float64 neither a far-off pixel nor the difference of two float32 can overflow.
    parts = (values.astype(np.float64) - low) / (high - low)
    return np.rint(255 * np.clip(parts, 0, 1)).astype(np.uint8)
