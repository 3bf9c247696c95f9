"""The compiled kernel of total-variation denoising. Importing this module imports numba."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from unetplus_edge.imaging.tv import STEP

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def denoise_numba(image: NDArray[np.float32], weight: float, iterations: int) -> NDArray[np.float32]:
    """`unetplus_edge.imaging.tv.denoise`, compiled; releases the interpreter lock."""
    denoised: NDArray[np.float32] = _denoise(image, np.float32(STEP), np.float32(STEP / weight), iterations)
    return denoised


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled = numba.njit(fastmath=True, nogil=True, error_model="numpy")(function)
    # Compiling takes seconds, so its outcome is kept for the next run, unless there is nowhere to
    # keep it: a service that has no home and may not write to the package's folder.
    with suppress(RuntimeError):
        compiled.enable_caching()
    return compiled  # type: ignore[no-any-return]


@_compiled
def _denoise(image: Any, step: Any, ratio: Any, iterations: int) -> Any:
    # One sweep over the rows an iteration: row i + 1 of the denoised image is made from the old
    # dual field just before row i of that field is overwritten. The dual field is padded by one,
    # and loops see rows through views that all begin at 0: an index such as x + 1 might wrap
    # around for all that the compiler knows, and keeps it from vectorising.
    height, width = image.shape
    down = np.zeros((height + 1, width), np.float32)
    right = np.zeros((height, width + 1), np.float32)
    rows = np.empty((2, width), np.float32)
    denoised = np.empty_like(image)
    for _ in range(iterations):
        _denoised_row(image[0], down[0], down[1], right[0, :-1], right[0, 1:], rows[0])
        for i in range(height - 1):
            here, below = rows[i % 2], rows[(i + 1) % 2]
            _denoised_row(image[i + 1], down[i + 1], down[i + 2], right[i + 1, :-1], right[i + 1, 1:], below)
            _ascend_row(here[:-1], here[1:], below[:-1], down[i + 1, :-1], right[i, 1:-1], step, ratio)
            dy = below[-1] - here[-1]
            down[i + 1, -1] = (down[i + 1, -1] + step * dy) / (np.float32(1) + ratio * abs(dy))
        here = rows[(height - 1) % 2]
        _ascend_last_row(here[:-1], here[1:], right[height - 1, 1:-1], step, ratio)
    for i in range(height):
        _denoised_row(image[i], down[i], down[i + 1], right[i, :-1], right[i, 1:], denoised[i])
    return denoised


@numba.njit(fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _denoised_row(image: Any, above: Any, down: Any, left: Any, right: Any, out: Any) -> None:
    for x in range(out.size):
        out[x] = image[x] + (down[x] - above[x]) + (right[x] - left[x])


@numba.njit(fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _ascend_row(here: Any, beside: Any, below: Any, down: Any, right: Any, step: Any, ratio: Any) -> None:
    one = np.float32(1)
    for x in range(here.size):
        dy = below[x] - here[x]
        dx = beside[x] - here[x]
        scale = one / (one + ratio * np.sqrt(dy * dy + dx * dx))
        down[x] = (down[x] + step * dy) * scale
        right[x] = (right[x] + step * dx) * scale


@numba.njit(fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _ascend_last_row(here: Any, beside: Any, right: Any, step: Any, ratio: Any) -> None:
    one = np.float32(1)
    for x in range(here.size):
        dx = beside[x] - here[x]
        right[x] = (right[x] + step * dx) / (one + ratio * abs(dx))
