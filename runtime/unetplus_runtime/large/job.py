"""Segmenting a frame that is larger than memory, block by block.

Steps, each of which goes on where a kill has stopped it:

1. the range of the whole frame (`ranges`), which two passes over it find;
2. the mask of each block (`masks`): the network's part, which may be shared among processes;
3. the pieces of nuclei in each block (`pieces`);
4. joining over the sides of blocks, and of nuclei that are one (`joining`), in memory;
5. labels and measurements of each block (`moments`);
6. the pyramid, the tables, and the name of the label image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.files import finish_folder
from unetplus_runtime.large.blocks import inside
from unetplus_runtime.large.joining import Numbering
from unetplus_runtime.large.masks import MaskMaker
from unetplus_runtime.large.moments import AREA, COLUMNS, LABEL, joined, moments, nuclei_of
from unetplus_runtime.large.pieces import halo, label_pieces
from unetplus_runtime.large.pyramid import fill_pyramid
from unetplus_runtime.large.ranges import large_frame_range
from unetplus_runtime.large.tables import LARGE_TABLES
from unetplus_runtime.large.work import WorkFolder, remove_work
from unetplus_runtime.ngff import LONGEST_CHUNK, create_labels, open_labels
from unetplus_runtime.results import unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from unetplus_edge.imaging import FrameRange, Postprocessing
    from unetplus_runtime.large.blocks import Block, BlockGrid
    from unetplus_runtime.large.pieces import Pieces
    from unetplus_runtime.pages import FrameView
    from unetplus_runtime.segmenter import Segmenter


@dataclass(frozen=True)
class LargeResult:
    """What was found in a large frame.

    Attributes
    ----------
    nuclei
        How many.
    mean_area
        In pixels; None where there are none.
    """

    nuclei: int
    mean_area: float | None


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of the work, each done by a process of its own.

    Attributes
    ----------
    number, count
        Which, from 1, of how many.
    """

    number: int
    count: int

    def has(self, index: int) -> bool:
        """Return whether the piece of work with an index, from 0, belongs to this shard."""
        return index % self.count == self.number - 1


class LargeJob:
    """What there is to do for a large frame, and what has been done of it.

    Parameters
    ----------
    view
        The frame.
    grid
        Its blocks, whose side is a multiple of the network's patch.
    work
        Folder for what has been done; it is on the file system of the label image.
    settings
        Everything that the result depends on.
    """

    def __init__(self, view: FrameView, grid: BlockGrid, work: Path, settings: Mapping[str, str]) -> None:
        self._view, self._grid = view, grid
        self._work = WorkFolder(work, grid)
        self._settings = settings

    def make_masks(
        self, segmenter: Segmenter, shard: Shard | None = None, done: Callable[[], None] | None = None
    ) -> None:
        """Make the masks that are missing.

        Parameters
        ----------
        segmenter
            The model.
        shard
            Which of the blocks to do; None is all.
        done
            Called after every block, done now or before.

        Raises
        ------
        InputError
            If the frame cannot be read.
        OutputError
            If the work folder cannot be written, or belongs to other settings.
        EngineError
            If the engine fails.
        """
        whole_range = self.begin()
        maker = MaskMaker(self._view, self._grid, whole_range, segmenter)
        for index, block in enumerate(self._grid.blocks):
            if shard is None or shard.has(index):
                if not self._work.has("mask", block):
                    self._work.write_mask(block, maker.mask(block))
                if done is not None:
                    done()

    def begin(self) -> FrameRange:
        """Begin the work folder, or go on with it, and return the range of the whole frame.

        Raises
        ------
        InputError
            If the frame cannot be read.
        OutputError
            If the work folder cannot be written, or belongs to other settings.
        """
        self._work.begin(self._settings)
        whole_range = self._work.read_range()
        if whole_range is None:
            try:
                whole_range = large_frame_range(self._view, self._grid)
            except InputError:
                # Nothing is left of a frame that cannot be read, unless another shard could read it.
                if self._work.read_range() is None:
                    self.remove()
                raise
            self._work.write_range(whole_range)
        return whole_range

    @property
    def missing(self) -> list[Block]:
        """The blocks that have no mask yet."""
        return [block for block in self._grid.blocks if not self._work.has("mask", block)]

    def finish(
        self,
        constants: Postprocessing,
        labels: Path,
        tables: Mapping[str, Path],
        pixel_size: float | None,
        provenance: Mapping[str, str],
    ) -> LargeResult:
        """Write the label image and the tables; all masks are there.

        Parameters
        ----------
        constants
            Of postprocessing.
        labels
            The label image, as OME-Zarr.
        tables
            Tables of nuclei, by names of `unetplus_runtime.large.tables.LARGE_TABLES`.
        pixel_size
            Side of a pixel in micrometres.
        provenance
            See `unetplus_runtime.provenance`.

        Raises
        ------
        InputError
            If the frame cannot be read.
        OutputError
            If something cannot be written.
        """
        try:
            for block in self._grid.blocks:
                if not self._work.has("pieces", block):
                    self._work.write_pieces(block, self._label(block, constants)[1])
            numbering = Numbering(self._grid, self._work.read_pieces, constants)
            folder = self._work.path / "labels"
            levels = self._levels(folder, pixel_size, provenance)
            for block in self._grid.blocks:
                if not self._work.has("table", block):
                    self._finish_block(block, levels[0], numbering, constants)
            fill_pyramid(levels, self._work)
            shape = self._grid.height, self._grid.width
            for name, path in tables.items():
                batches = (nuclei_of(batch, shape, pixel_size) for batch in self._batches(numbering))
                LARGE_TABLES[name](path, batches, provenance)
            area = sum(float(batch[:, AREA].sum()) for batch in self._batches(numbering))
            labels.parent.mkdir(parents=True, exist_ok=True)
            finish_folder(folder, labels)
        except OSError as error:
            raise unwritable(labels, error) from error
        return LargeResult(numbering.count, area / numbering.count if numbering.count else None)

    def _label(self, block: Block, constants: Postprocessing) -> tuple[NDArray[np.int32], Pieces]:
        rows, columns = self._grid.around(block.rows, block.columns, halo(constants))
        classes = self._work.read_mask(rows, columns)
        return label_pieces(classes, inside(block.rows, rows), inside(block.columns, columns), constants)

    def _levels(self, folder: Path, pixel_size: float | None, provenance: Mapping[str, str]) -> list[Any]:
        """Return the levels of the label image, made now or before."""
        made = self._work.path / "labels-made"
        if made.is_file() and folder.is_dir():
            return open_labels(folder)
        self._work.forget_labels()
        side = self._grid.side  # blocks are whole chunks, so that no two write to one
        chunk = next(length for length in range(min(side, LONGEST_CHUNK), 0, -1) if side % length == 0)
        levels = create_labels(folder, (self._grid.height, self._grid.width), pixel_size, provenance, chunk)
        made.touch()
        return levels

    def _finish_block(self, block: Block, level: Any, numbering: Numbering, constants: Postprocessing) -> None:
        labelled, pieces = self._label(block, constants)
        numbers = numbering.of(block, pieces)
        labels = numbers[labelled]
        sums = np.empty((0, len(COLUMNS)))
        if labels.any():  # chunks of zeros are not written, nor are empty parts of the frame read
            level[block.rows, block.columns] = labels
            sums = moments(labels, self._view[block.rows, block.columns], block.rows.start, block.columns.start)
        unsettled = np.isin(sums[:, LABEL], numbers[numbering.unsettled(block)])
        self._work.write_table(block, sums[~unsettled], sums[unsettled])

    def _batches(self, numbering: Numbering) -> Iterator[NDArray[np.float64]]:
        """Yield the sums of all nuclei in the order of their numbers, those of one block at a time."""
        unsettled = joined(np.concatenate([self._work.read_table(block, "unsettled") for block in self._grid.blocks]))
        for block in self._grid.blocks:
            first, last = np.searchsorted(unsettled[:, LABEL], numbering.span(block), side="left")
            yield np.concatenate((self._work.read_table(block, "settled"), unsettled[first:last]))

    def remove(self) -> None:
        """Remove what has been done, once its result is recorded."""
        remove_work(self._work.path)
