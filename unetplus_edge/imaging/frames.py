"""What a frame is: the input that everything in imaging works on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


def as_frame(array: NDArray[Any], name: str = "the frame") -> Frame:
    """Return an array as a frame, or refuse it.

    Parameters
    ----------
    array
        Shape (height, width), at least 1 x 1: uint8, uint16 (any bit depth inside) or floating
        point (any range that float32 has; finite), in any byte order.
    name
        What to call the array in an error.

    Returns
    -------
    numpy.ndarray
        The same pixels in the machine's byte order: uint8 and uint16 as they are, floating point
        as float32.

    Raises
    ------
    InputError
        If the array has not two axes, is empty, is of another dtype, or holds NaN or infinity.
    """
    if array.ndim != 2:
        raise InputError(
            f"{name} has shape {array.shape}; a frame has two axes, height and width: choose one channel and one page"
        )
    if array.size == 0:
        raise InputError(f"{name} has shape {array.shape} and no pixels; check where it was cut")
    native = array.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        return array.astype(native, copy=False)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{name} holds {array.dtype} pixels; convert them to uint8, uint16 or a floating-point type")
    with np.errstate(over="ignore"):
        frame = array.astype(np.float32, copy=False)
    # Least and greatest tell whether any is unusable, without a mask of the frame's size.
    with np.errstate(invalid="ignore"):
        if np.isfinite(frame.min()) and np.isfinite(frame.max()):
            return frame
    unusable = int(frame.size - np.count_nonzero(np.isfinite(frame)))
    raise InputError(f"{name} has {unusable} pixels that are NaN or beyond float32; replace them by a number first")
