"""Which pixels of a block are nucleus, and which core of one, as the network has it for the whole frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.imaging import patch_spans, preprocess_block
from unetplus_edge.imaging.postprocess import classify
from unetplus_edge.imaging.preprocess import block_window
from unetplus_runtime.large.blocks import inside
from unetplus_runtime.pipeline import halo_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unetplus_edge.imaging import FrameRange, PatchSpan
    from unetplus_edge.imaging.frames import Frame
    from unetplus_runtime.large.blocks import Block, BlockGrid
    from unetplus_runtime.pages import FrameView
    from unetplus_runtime.segmenter import Segmenter

_MOST_KEPT = 8


class MaskMaker:
    """Makes the masks of a frame's blocks, in any order.

    A block is made of the patches of the whole frame's grid whose answers reach into it, so it is
    what the whole frame would give there; a patch may belong to several blocks. Where raw pixels are
    all equal, as far around a block as preprocessing looks, its patches hold one number, and the
    network is asked once for each such number: an empty block costs no more than reading it, and its
    answer is the network's own all the same.

    Parameters
    ----------
    view
        The frame.
    grid
        Its blocks.
    whole_range
        Range of the whole frame.
    segmenter
        The model, with any grid that has patches.

    Raises
    ------
    InputError
        If its grid has none.
    """

    def __init__(self, view: FrameView, grid: BlockGrid, whole_range: FrameRange, segmenter: Segmenter) -> None:
        self._view, self._grid, self._range, self._segmenter = view, grid, whole_range, segmenter
        manifest = segmenter.bundle.manifest
        self._constants, self._side = manifest.recipe.preprocessing, manifest.recipe.patch_side
        self._postprocessing = manifest.postprocessing
        halo = halo_of(segmenter.grid)
        self._down, self._across = (patch_spans(length, self._side, halo) for length in (grid.height, grid.width))
        self._answers: dict[float, NDArray[np.float32]] = {}

    def mask(self, block: Block) -> NDArray[np.uint8]:
        """Return the classes of the pixels of a block; see `unetplus_edge.imaging.postprocess.classify`.

        Raises
        ------
        InputError
            If the frame cannot be read there.
        EngineError
            If the engine fails.
        """
        down, across = _reaching(self._down, block.rows), _reaching(self._across, block.columns)
        rows = slice(down[0].origin, min(down[-1].origin + self._side, self._grid.height))
        columns = slice(across[0].origin, min(across[-1].origin + self._side, self._grid.width))
        raw = self._raw(rows, columns)
        if raw.is_constant:
            corner = slice(rows.start, rows.start + 1), slice(columns.start, columns.start + 1)
            value = preprocess_block(raw, *corner, self._constants, self._range)[0, 0]  # type: ignore[arg-type]
            whole = min(self._grid.height, self._grid.width) >= self._side  # else patches are filled up with zeros
            if whole and not (self._answer_to(value) > self._postprocessing.threshold).any():
                return np.zeros(block.shape, np.uint8)
            prepared = np.full((rows.stop - rows.start, columns.stop - columns.start), value, np.float32)
        else:
            prepared = preprocess_block(raw, rows, columns, self._constants, self._range, self._segmenter.workers)  # type: ignore[arg-type]
        probability = np.zeros(prepared.shape, np.float32)
        for top in down:  # a row of patches at a time, so that they take no more memory than the block
            patches = np.zeros((len(across), self._side, self._side, 1), np.float32)
            for patch, left in zip(patches, across, strict=True):
                part = prepared[top.origin - rows.start :, left.origin - columns.start :][: self._side, : self._side]
                patch[: part.shape[0], : part.shape[1], 0] = part
            for answer, left in zip(self._answer(patches), across, strict=True):
                part = probability[
                    inside(slice(top.first, top.end), rows), inside(slice(left.first, left.end), columns)
                ]
                taken = answer[top.first - top.origin :, left.first - left.origin :]
                np.maximum(part, taken[: part.shape[0], : part.shape[1]], out=part)
        of_block = probability[inside(block.rows, rows), inside(block.columns, columns)]
        return classify(of_block, self._postprocessing)

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


def _reaching(spans: Sequence[PatchSpan], part: slice) -> list[PatchSpan]:
    """Return the patches whose answers reach into a part of an axis."""
    return [span for span in spans if span.first < part.stop and span.end > part.start]


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
