"""The compiled kernels of preprocessing. Importing this module imports numba.

They stand in one file, because what numba keeps of a compiled function for the next run is made
anew only when the function's own file changes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba.extending import intrinsic

from unetplus_edge.imaging.compiled import kept
from unetplus_edge.imaging.tv import steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.imaging.tv import Scheme

_FAST = {"fastmath": True, "error_model": "numpy", "nogil": True}
_EXACT = {"error_model": "numpy", "nogil": True}

_LINE = 16
"""Values of float32 in a cache line."""

_LEAD = _LINE - 1
"""Where the dual field to the right begins with its column of zeros, so that its first pixel begins a line."""


def window_state(iterations: int, width: int) -> NDArray[np.float32]:
    """Return the rows that the kernels work on, for windows of up to so many columns, halo included.

    Each row begins a cache line: vectors that lie across two lines cost a quarter of the time.
    """
    shape = (6, iterations + 2, -(-(_LEAD + width + 1) // _LINE) * _LINE)
    room = np.zeros(math.prod(shape) + _LINE, np.float32)
    first = -room.ctypes.data % (room.itemsize * _LINE) // room.itemsize
    return room[first : first + math.prod(shape)].reshape(shape)


def denoise_numba(
    image: NDArray[np.float32], weight: float, iterations: int, scheme: Scheme = "chambolle"
) -> NDArray[np.float32]:
    """`unetplus_edge.imaging.tv.denoise`, compiled; releases the interpreter lock."""
    (height, width), denoised = image.shape, np.empty(image.shape, np.float32)
    factors, state = steps(weight, iterations, scheme), window_state(iterations, width)
    denoised_window(np.ascontiguousarray(image), factors, scheme == "primal_dual", state, denoised, 0, height, 0, width)
    return denoised


@intrinsic  # type: ignore[untyped-decorator]
def _address(_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, values[0]).data

    return numba.types.CPointer(array.dtype)(array), generate


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _uncounted(array: Any) -> Any:
    """Return the array as one whose views are not counted: an atomic step each, which is long beside a short row."""
    return numba.carray(_address(array), array.shape)


@kept(_EXACT)
def code_rows(frame: Any, codes: Any, low: float, high: float, top: int, bottom: int) -> None:
    """Write rows of a raw frame as codes: 0 at `low`, 255 at `high`, to the nearest."""
    for y in range(top, bottom):
        _code_row(frame[y], codes[y], low, high - low)


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _code_row(values: Any, codes: Any, low: float, span: float) -> None:
    for x in range(values.size):
        part = min(max((np.float64(values[x]) - low) / span, 0.0), 1.0)
        codes[x] = np.uint8(np.rint(255.0 * part))


@kept(_EXACT)
def table_rows(
    codes: Any, tables: Any, tile: int, clip: int, rows_at: Any, columns_at: Any, top: int, end: int
) -> None:
    """Write the tables of rows of tiles: what becomes of each of the 256 codes.

    `rows_at` and `columns_at` say which pixel stands at each place of the frame that is continued
    to whole tiles.
    """
    # Neighbours often have the same code. Each is counted in another place than the one before it,
    # which would have to be written before it could be read.
    places = np.empty((4, 256), np.int32)
    for row in range(top, end):
        for column in range(tables.shape[1]):
            places[:] = 0
            left = column * tile
            inside = min(left + tile, codes.shape[1])
            for y in range(row * tile, (row + 1) * tile):
                line = codes[rows_at[y]]
                for x in range(left, inside):
                    places[x & 3, line[x]] += 1
                for x in range(inside, left + tile):
                    places[x & 3, line[columns_at[x]]] += 1
            counts = places[0] + places[1] + places[2] + places[3]
            _clip_counts(counts, clip)
            _sum_counts(counts, tables[row, column], np.float32(255) / np.float32(tile * tile))


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _clip_counts(counts: Any, clip: int) -> None:
    # As OpenCV does it: what is cut off goes to all bins, and the rest of it to every n-th.
    excess = 0
    for code in range(256):
        if counts[code] > clip:
            excess += counts[code] - clip
            counts[code] = clip
    rest = excess % 256
    for code in range(256):
        counts[code] += excess // 256
    if rest:
        step = max(256 // rest, 1)
        for code in range(0, min(256, rest * step), step):
            counts[code] += 1


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _sum_counts(counts: Any, table: Any, scale: Any) -> None:
    total = 0
    for code in range(256):
        total += counts[code]
        table[code] = min(np.rint(np.float32(total) * scale), np.float32(255))


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _equalised_row(line: Any, tables: Any, tile: int, y: int, left: int, out: Any) -> None:
    # A pixel lies between the centres of four tiles, and so does every pixel of its row up to the
    # next centre.
    half = tile // 2
    inverse, grey = np.float32(1) / np.float32(tile), np.float32(255)
    above = (y + half) // tile
    down = np.float32(y + half - above * tile) * inverse
    upper, lower = tables[max(above - 1, 0)], tables[min(above, tables.shape[0] - 1)]
    right = left + out.size
    for column in range((left + half) // tile, (right - 1 + half) // tile + 1):
        start = column * tile - half
        before, after = max(column - 1, 0), min(column, tables.shape[1] - 1)
        a, b, c, d = upper[before], upper[after], lower[before], lower[after]
        for x in range(max(start, left), min(start + tile, right)):
            code = line[x]
            across = np.float32(x - start) * inverse
            high = a[code] * (np.float32(1) - across) + b[code] * across
            low = c[code] * (np.float32(1) - across) + d[code] * across
            out[x - left] = np.rint(high * (np.float32(1) - down) + low * down) / grey


@kept(_EXACT)
def equalised_rows(codes: Any, tables: Any, tile: int, out: Any, top: int, bottom: int) -> None:
    """Write rows of the equalised frame, in [0, 1]."""
    for y in range(top, bottom):
        _equalised_row(codes[y], tables, tile, y, 0, out[y])


@kept(_FAST)
def denoised_window(
    image: Any, steps: Any, primal_dual: bool, state: Any, out: Any, top: int, bottom: int, left: int, right: int
) -> None:
    """Write a window of the denoised image; see `_advance`."""
    height, halo = image.shape[0], len(steps)
    state, steps = _uncounted(state), _uncounted(steps)
    start, stop = max(left - halo, 0), min(right + halo, image.shape[1])
    width = stop - start
    for row in range(max(top - halo, 0), bottom + halo):
        if row < min(height, bottom + halo):
            _enter(state, row, width)
            state[0, row % state.shape[1], :width] = image[row, start:stop]
            _begin(state, row, width)
        _advance(state, steps, primal_dual, row, top, bottom, height, width)
        y = row - halo
        if y >= top:
            out[y, left:right] = state[1, y % state.shape[1], left - start : right - start]


@kept(_FAST)
def prepared_window(
    codes: Any,
    tables: Any,
    tile: int,
    steps: Any,
    primal_dual: bool,
    state: Any,
    out: Any,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """Write a window of the equalised and denoised frame, in [0, 1]; see `_advance`."""
    height, halo = codes.shape[0], len(steps)
    state, steps = _uncounted(state), _uncounted(steps)
    start, stop = max(left - halo, 0), min(right + halo, codes.shape[1])
    width = stop - start
    for row in range(max(top - halo, 0), bottom + halo):
        if row < height:
            _enter(state, row, width)
            _equalised_row(codes[row], tables, tile, row, start, state[0, row % state.shape[1], :width])
            _begin(state, row, width)
        _advance(state, steps, primal_dual, row, top, bottom, height, width)
        y = row - halo
        if y >= top:
            _limited_row(state[1, y % state.shape[1], left - start : right - start], out[y, left:right])


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _limited_row(values: Any, out: Any) -> None:
    for x in range(values.size):
        out[x] = min(max(values[x], np.float32(0)), np.float32(1))


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _enter(state: Any, row: int, width: int) -> None:
    slot = row % state.shape[1]
    state[3, slot, :width] = 0
    state[4, slot, _LEAD : _LEAD + width + 1] = 0


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _begin(state: Any, row: int, width: int) -> None:
    slot = row % state.shape[1]
    for copy in range(1, 3):
        state[copy, slot, :width] = state[0, slot, :width]
        state[copy, slot, width] = state[0, slot, width - 1]


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _advance(
    state: Any, steps: Any, primal_dual: bool, row: int, top: int, bottom: int, height: int, width: int
) -> None:
    # All iterations run at once, each one row behind the one before it, so that a row is done for
    # good `len(steps)` rows after it entered and no more rows than that are ever at work: they
    # stay in the cache however large the frame is. `state` holds, by row modulo its length:
    # 0 the image, 1 the denoised image, 2 the same extrapolated, 3 and 4 the dual field down and
    # right. Images have one more column that repeats the last, and below the last row comes
    # itself, so that no loop needs a branch for them; the dual field to the right begins with a
    # column of zeros, at `_LEAD`. Loops see rows through views that all begin at 0: an index such as x + 1
    # might wrap around for all that the compiler knows, and keeps it from vectorising. Rows above
    # `top` and below `bottom` are iterated only as often as they can still be felt inside.
    slots, iterations = state.shape[1], len(steps)
    seen = 2 if primal_dual else 1
    for number in range(iterations):
        y = row - 1 - number
        reach = iterations - 1 - number
        if y >= min(height, bottom + reach):
            continue
        if y < max(top - reach - 1, 0):
            break
        slot = y % slots
        under = slot if y == height - 1 else (y + 1) % slots
        here, below, down, right = state[seen, slot], state[seen, under], state[3, slot], state[4, slot, _LEAD:]
        step = steps[number]
        if primal_dual:
            _project(here, here[1:], below, down, right[1:], step[0], width)
        else:
            _ascend(here, here[1:], below, down, right[1:], step[0], step[1], width)
        if y < top - reach:
            continue
        above = state[3, (y - 1) % slots] if y else state[5, 0]
        image, denoised = state[0, slot], state[1, slot]
        if primal_dual:
            ahead = state[2, slot]
            _descend(image, above, down, right, right[1:], denoised, ahead, step, width)
            ahead[width] = ahead[width - 1]
        else:
            _denoise(image, above, down, right, right[1:], denoised, width)
            denoised[width] = denoised[width - 1]


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _ascend(here: Any, beside: Any, below: Any, down: Any, right: Any, ascent: Any, ratio: Any, width: int) -> None:
    one = np.float32(1)
    for x in range(width):
        dy = below[x] - here[x]
        dx = beside[x] - here[x]
        scale = one / (one + ratio * np.sqrt(dy * dy + dx * dx))
        down[x] = (down[x] + ascent * dy) * scale
        right[x] = (right[x] + ascent * dx) * scale


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _denoise(image: Any, above: Any, down: Any, left: Any, right: Any, out: Any, width: int) -> None:
    for x in range(width):
        out[x] = image[x] + (down[x] - above[x]) + (right[x] - left[x])


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _project(here: Any, beside: Any, below: Any, down: Any, right: Any, ascent: Any, width: int) -> None:
    one = np.float32(1)
    for x in range(width):
        dy = down[x] + ascent * (below[x] - here[x])
        dx = right[x] + ascent * (beside[x] - here[x])
        scale = one / np.sqrt(max(one, dy * dy + dx * dx))
        down[x] = dy * scale
        right[x] = dx * scale


@numba.njit(**_FAST)  # type: ignore[untyped-decorator]
def _descend(
    image: Any, above: Any, down: Any, left: Any, right: Any, out: Any, ahead: Any, step: Any, width: int
) -> None:
    keep, pull, push, extra = step[1], step[2], step[3], step[4]
    for x in range(width):
        new = keep * out[x] + pull * image[x] + push * ((down[x] - above[x]) + (right[x] - left[x]))
        ahead[x] = new + extra * (new - out[x])
        out[x] = new
