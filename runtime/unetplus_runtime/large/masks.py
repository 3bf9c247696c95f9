"""Which pixels of a block are nucleus, as the network has it for the whole frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.imaging import patch_origins, preprocess_block
from unetplus_edge.imaging.preprocess import block_window
from unetplus_runtime.large.blocks import inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.imaging import FrameRange
    from unetplus_edge.imaging.frames import Frame
    from unetplus_runtime.large.blocks import Block, BlockGrid
    from unetplus_runtime.pages import FrameView
    from unetplus_runtime.segmenter import Segmenter

_MOST_KEPT = 8


class MaskMaker:
    """Makes the masks of a frame's blocks, in any order.

    A block is made of the patches of the whole frame's grid that touch it, so it is what the whole
    frame would give there; a patch at the far edge, which overlaps the last one of the grid, may
    belong to two blocks. Where raw pixels are all equal, as far around a block as preprocessing
    looks, its patches hold one number, and the network is asked once for each such number: an
    empty block costs no more than reading it, and its answer is the network's own all the same.

    Parameters
    ----------
    view
        The frame.
    grid
        Its blocks.
    whole_range
        Range of the whole frame.
    segmenter
        The model.
    """

    def __init__(self, view: FrameView, grid: BlockGrid, whole_range: FrameRange, segmenter: Segmenter) -> None:
        self._view, self._grid, self._range, self._segmenter = view, grid, whole_range, segmenter
        manifest = segmenter.bundle.manifest
        self._constants, self._side = manifest.recipe.preprocessing, manifest.recipe.patch_side
        self._threshold = manifest.postprocessing.threshold
        self._answers: dict[float, NDArray[np.float32]] = {}

    def mask(self, block: Block) -> NDArray[np.bool_]:
        """Return where the probability in a block is above the threshold.

        Raises
        ------
        InputError
            If the frame cannot be read there.
        EngineError
            If the engine fails.
        """
        tops = self._origins(self._grid.height, block.rows)
        lefts = self._origins(self._grid.width, block.columns)
        rows = slice(tops[0], min(tops[-1] + self._side, self._grid.height))
        columns = slice(lefts[0], min(lefts[-1] + self._side, self._grid.width))
        raw = self._raw(rows, columns)
        if raw.is_constant:
            corner = slice(rows.start, rows.start + 1), slice(columns.start, columns.start + 1)
            value = preprocess_block(raw, *corner, self._constants, self._range)[0, 0]  # type: ignore[arg-type]
            whole = min(self._grid.height, self._grid.width) >= self._side  # else patches are filled up with zeros
            if whole and not (self._answer_to(value) > self._threshold).any():
                return np.zeros(block.shape, np.bool_)
            prepared = np.full((rows.stop - rows.start, columns.stop - columns.start), value, np.float32)
        else:
            prepared = preprocess_block(raw, rows, columns, self._constants, self._range)  # type: ignore[arg-type]
        probability = np.zeros(prepared.shape, np.float32)
        for top in tops:  # a row of patches at a time, so that they take no more memory than the block
            patches = np.zeros((len(lefts), self._side, self._side, 1), np.float32)
            for patch, left in zip(patches, lefts, strict=True):
                part = prepared[top - rows.start :, left - columns.start :][: self._side, : self._side]
                patch[: part.shape[0], : part.shape[1], 0] = part
            for answer, left in zip(self._answer(patches), lefts, strict=True):
                part = probability[top - rows.start :, left - columns.start :][: self._side, : self._side]
                np.maximum(part, answer[: part.shape[0], : part.shape[1]], out=part)
        mask: NDArray[np.bool_] = (
            probability[inside(block.rows, rows), inside(block.columns, columns)] > self._threshold
        )
        return mask

    def _origins(self, length: int, part: slice) -> list[int]:
        origins = patch_origins(length, self._side)
        return [origin for origin in origins if origin < part.stop and origin + self._side > part.start]

    def _raw(self, rows: slice, columns: slice) -> _Known:
        windows = (
            block_window(part, length, self._constants)
            for part, length in zip((rows, columns), self._view.shape, strict=True)
        )
        return _Known(self._view, *(slice(*window) for window in windows))

    def _answer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of patches, shape (n, side, side)."""
        flat = patches.reshape(len(patches), -1)
        constant = flat.min(axis=1) == flat.max(axis=1)
        answers = np.empty(patches.shape[:3], np.float32)
        if not constant.all():
            answers[~constant] = self._segmenter.infer(patches[~constant])[:, :, :, 0]
        for index in np.flatnonzero(constant):
            answers[index] = self._answer_to(flat[index, 0])
        return answers

    def _answer_to(self, value: np.float32) -> NDArray[np.float32]:
        """Return the probabilities of a patch of one number, shape (side, side)."""
        if float(value) not in self._answers:
            if len(self._answers) == _MOST_KEPT:
                self._answers.clear()
            patch = np.full((1, self._side, self._side, 1), value, np.float32)
            self._answers[float(value)] = self._segmenter.infer(patch)[0, :, :, 0]
        return self._answers[float(value)]


class _Known:
    """A frame of which a part has been read already."""

    def __init__(self, view: FrameView, rows: slice, columns: slice) -> None:
        self._view, self._rows, self._columns = view, rows, columns
        self.shape = view.shape
        self._part = view[rows, columns]
        self.is_constant = bool(self._part.min() == self._part.max())

    def __getitem__(self, region: tuple[slice, slice]) -> Frame:
        rows, columns = region
        if (
            self._rows.start <= rows.start
            and rows.stop <= self._rows.stop
            and self._columns.start <= columns.start
            and columns.stop <= self._columns.stop
        ):
            return self._part[inside(rows, self._rows), inside(columns, self._columns)]
        return self._view[rows, columns]
