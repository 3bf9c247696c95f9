"""From a raw frame to what a network reads, the same however the frame is cut into blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.imaging.clahe import continued, equalise, most_in_a_bin
from unetplus_edge.imaging.frames import as_frame
from unetplus_edge.imaging.scaling import FrameRange, RangeFinder, codes_of
from unetplus_edge.imaging.tv import denoise_numpy, kernels, steps
from unetplus_edge.imaging.workers import Workers

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from unetplus_edge.imaging.constants import Preprocessing
    from unetplus_edge.imaging.frames import Frame

_WIDEST = 1024  # columns of a window: its rows at work stay in the cache of a core


class Preprocessor:
    """Makes frames of one size ready for a network, with buffers of its own.

    The steps of Long 2020 ("Preprocessing"): CLAHE, total-variation denoising, scaling to [0, 1].
    The range that becomes [0, 1] is read from the raw frame and applied ahead of CLAHE, which
    has 256 bins: so 8, 12 and 16-bit frames of one scene come out alike, and no block has to
    wait for the last one. Compiled by numba where it is installed: then nothing of a frame's size
    is allocated from the second frame on, and the answer does not depend on the number of threads.
    OpenCV and NumPy give the same answer to 1e-5, slower. One thread may use it at a time.

    Parameters
    ----------
    shape
        Height and width of the frames, in pixels.
    constants
        The bundle's constants.
    threads
        Threads that share a frame, the caller's own among them; or workers that do, and that others
        may use in turn.

    Raises
    ------
    InputError
        If there are no pixels, or no threads.
    """

    def __init__(self, shape: tuple[int, int], constants: Preprocessing, threads: int | Workers = 1) -> None:
        if min(shape) < 1:
            raise InputError(f"frames of shape {shape} have no pixels; name height and width")
        self.shape = shape
        self.constants = constants
        self._workers = threads if isinstance(threads, Workers) else Workers(threads)
        self._ranges = RangeFinder(shape[1], self._workers)
        self._own: NDArray[np.float32] | None = None
        self._kernels = kernels()
        if self._kernels:
            self._allocate(self._kernels)

    def _allocate(self, found: ModuleType) -> None:
        (height, width), threads = self.shape, self._workers.threads
        tile, halo = self.constants.clahe_tile, self.constants.halo
        self._rows_at, self._columns_at = continued(height, tile), continued(width, tile)
        self._codes = np.empty(self.shape, np.uint8)
        rows, columns = len(self._rows_at) // tile, len(self._columns_at) // tile
        self._tables = np.empty((rows, columns, 256), np.float32)
        # A tile that reaches past the frame reads codes of the row of tiles before it, too.
        alone = rows - 1 if height % tile and rows > 1 else rows
        edges = _edges(alone, min(threads, alone))
        self._tiles = list(pairwise([*edges[:-1], rows]))
        self._bands = list(pairwise(_edges(height, min(threads, max(height // (2 * halo + 1), 1)))))
        self._columns = list(pairwise(_edges(width, -(-width // _WIDEST))))
        widest = max(right - left for left, right in self._columns) + 2 * halo
        self._steps = steps(self.constants.tv_weight, halo, self.constants.tv_scheme) if halo else None
        self._states = [found.window_state(halo, min(widest, width)) for _ in range(threads)] if halo else []

    def __call__(
        self,
        frame: NDArray[np.generic],
        whole_range: FrameRange | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return a frame as a network reads it. A constant frame becomes 0 everywhere.

        Parameters
        ----------
        frame
            uint8, uint16 or floating point, of the shape that was named; it is not changed. What
            is neither uint8, uint16 nor float32, or not in C order, is copied first.
        whole_range
            What becomes 0 and 1; None takes `frame_range(frame)`.
        out
            Where to write: float32, same shape, in C order. None takes a buffer of the
            preprocessor's own, which its next call overwrites.

        Returns
        -------
        numpy.ndarray
            `out`: float32 in [0, 1].

        Raises
        ------
        InputError
            If the array is no frame (see `unetplus_edge.imaging.as_frame`) or of another shape,
            or `out` is not as it must be.
        """
        raw = as_frame(frame)
        if raw.shape != self.shape:
            raise InputError(f"the frame has shape {raw.shape}, the preprocessor is for {self.shape}; make another one")
        if out is None:
            out = self._own = np.empty(self.shape, np.float32) if self._own is None else self._own
        elif out.shape != self.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise InputError(
                f"out is {out.dtype} of shape {out.shape}; it must be float32 of shape {self.shape} in C order"
            )
        low, high = self._ranges.find(raw) if whole_range is None else whole_range
        if not high > low:
            out.fill(0)
        elif self._kernels:
            self._compiled(self._kernels, raw, low, high, out)
        else:
            self._plain(raw, low, high, out)
        return out

    def _compiled(self, found: ModuleType, raw: Frame, low: float, high: float, out: NDArray[np.float32]) -> None:
        tile, height = self.constants.clahe_tile, self.shape[0]
        clip = most_in_a_bin(tile, self.constants.clahe_clip)
        raw = raw if raw.flags.c_contiguous else raw.copy()

        def tables(first: int, end: int) -> None:
            found.code_rows(raw, self._codes, low, high, first * tile, min(end * tile, height))
            found.table_rows(self._codes, self._tables, tile, clip, self._rows_at, self._columns_at, first, end)

        def equalised(top: int, bottom: int) -> None:
            found.equalised_rows(self._codes, self._tables, tile, out, top, bottom)

        def denoised(top: int, bottom: int, left: int, right: int) -> None:
            state = self._states.pop()
            primal_dual = self.constants.tv_scheme == "primal_dual"
            found.prepared_window(
                *(self._codes, self._tables, tile, self._steps, primal_dual, state, out, top, bottom, left, right)
            )
            self._states.append(state)

        self._workers.run(tables, self._tiles)
        if self._steps is None:
            self._workers.run(equalised, self._bands)
        else:
            self._workers.run(denoised, [(*band, *columns) for band in self._bands for columns in self._columns])

    def _plain(self, raw: Frame, low: float, high: float, out: NDArray[np.float32]) -> None:
        constants = self.constants
        equalised = equalise(codes_of(raw, low, high), constants.clahe_tile, constants.clahe_clip)
        scaled = equalised.astype(np.float32) / np.float32(255)
        if constants.halo:
            scaled = denoise_numpy(scaled, constants.tv_weight, constants.tv_iterations, constants.tv_scheme)
        np.clip(scaled, 0, 1, out=out)


def preprocess(
    frame: NDArray[np.generic], constants: Preprocessing, whole_range: FrameRange | None = None
) -> NDArray[np.float32]:
    """Return a frame as a network reads it; see `Preprocessor`, which is for many frames of one size.

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
    return Preprocessor(raw.shape, constants)(raw, whole_range)


def preprocess_block(
    frame: NDArray[np.generic],
    rows: slice,
    columns: slice,
    constants: Preprocessing,
    whole_range: FrameRange,
    threads: int | Workers = 1,
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
    threads
        As for `Preprocessor`.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], the block's shape; within 1e-5 of the same block of the whole frame.
    """
    (top, bottom), (left, right) = (
        block_window(block, length, constants) for block, length in zip((rows, columns), frame.shape, strict=True)
    )
    raw = as_frame(np.asarray(frame[top:bottom, left:right]))
    window = Preprocessor(raw.shape, constants, threads)(raw, whole_range)
    return window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def block_window(block: slice, length: int, constants: Preprocessing) -> tuple[int, int]:
    """Return which part of an axis must be preprocessed for a block of it to come out as in the whole.

    Denoising reaches as far as it has iterations. Equalised values are wrong in the outer half tile
    of a window, and windows must lie on the tile grid: hence one tile more on either side, at most
    `constants.halo + 2 * constants.clahe_tile` pixels.

    >>> from unetplus_edge.imaging import Preprocessing
    >>> block_window(slice(512, 768), 4096, Preprocessing())
    (384, 896)
    """
    tile = constants.clahe_tile
    first = (block.start - constants.halo) // tile - 1
    last = -(-(block.stop + constants.halo) // tile) + 1
    return max(first * tile, 0), min(last * tile, length)


def _edges(length: int, parts: int) -> list[int]:
    return [length * part // parts for part in range(parts + 1)]
