"""Joining pieces of nuclei over the borders of blocks: one number a nucleus."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from unetplus_edge.imaging import Postprocessing
    from unetplus_runtime.large.blocks import Block, BlockGrid
    from unetplus_runtime.large.pieces import Pieces

_SIDES = ("top", "bottom", "left", "right", "beyond_right", "beyond_bottom")


class Numbering:
    """The numbers of all nuclei of a frame: from 1, without gaps, block by block.

    Nuclei that are too small are left out after joining, so that none is lost for having been cut.
    A nucleus in several blocks counts as one of the first of them. In memory is what reaches a
    side of a block, not what lies inside.

    Parameters
    ----------
    grid
        The blocks.
    read
        Returns the pieces of a block.
    constants
        The bundle's constants.

    Attributes
    ----------
    count
        How many nuclei there are.
    """

    def __init__(self, grid: BlockGrid, read: Callable[[Block], Pieces], constants: Postprocessing) -> None:
        self._min_area = constants.min_nucleus_area
        self._index = {(block.row, block.column): index for index, block in enumerate(grid.blocks)}
        self._ids: list[NDArray[np.int64]] = []  # of the pieces of each block that reach a side
        areas, insides = [], []
        pairs: list[tuple[int, int]] = []
        starts = [0]
        above: list[tuple[int, Pieces]] = []
        for row in range(grid.down):
            here: list[tuple[int, Pieces]] = []
            for column in range(grid.across):
                pieces = read(grid.at(row, column))
                ids = _reaching(pieces)
                self._ids.append(ids)
                areas.append(pieces.areas[ids - 1])
                inner = pieces.areas >= self._min_area
                inner[ids - 1] = False
                insides.append(np.count_nonzero(inner))
                here.append((starts[-1], _renumbered(pieces, ids)))
                starts.append(starts[-1] + len(ids))
            pairs += _contacts(above, here)
            above = here
        self._starts = np.array(starts)
        self._roots = _roots(starts[-1], pairs)
        self._number(np.concatenate(areas), np.array(insides))

    def _number(self, areas: NDArray[np.int64], insides: NDArray[np.int64]) -> None:
        totals = np.bincount(self._roots, areas, minlength=len(areas))
        kept = (self._roots == np.arange(len(areas))) & (totals >= self._min_area)
        owned = np.add.reduceat(np.append(kept, 0), self._starts[:-1]) if len(areas) else np.zeros_like(insides)
        owned[self._starts[:-1] == self._starts[1:]] = 0  # there reduceat takes the next block's first
        before = np.concatenate(([0], np.cumsum(insides + owned)))
        self.count = int(before[-1])
        self._before = before
        owner = np.searchsorted(self._starts, np.flatnonzero(kept), side="right") - 1
        first = np.concatenate(([0], np.cumsum(owned)))[owner]
        numbers = np.zeros(len(areas), np.int64)
        numbers[kept] = before[owner] + insides[owner] + np.arange(1, len(owner) + 1) - first
        self._numbers = numbers[self._roots]

    def span(self, block: Block) -> tuple[int, int]:
        """Return the first number of a nucleus that counts as one of a block, and the first beyond."""
        index = self._index[block.row, block.column]
        return int(self._before[index]) + 1, int(self._before[index + 1]) + 1

    def reaching(self, block: Block) -> NDArray[np.int64]:
        """Return the pieces of a block that reach one of its sides."""
        return self._ids[self._index[block.row, block.column]]

    def of(self, block: Block, pieces: Pieces) -> NDArray[np.uint32]:
        """Return the numbers of the nuclei that pieces belong to.

        Parameters
        ----------
        block
            The block.
        pieces
            Its pieces.

        Returns
        -------
        numpy.ndarray
            uint32, shape (pieces + 1,); 0 for the background, number 0, and for what is too small.
        """
        index = self._index[block.row, block.column]
        numbers = np.zeros(len(pieces.areas) + 1, np.uint32)
        inner = pieces.areas >= self._min_area
        inner[self._ids[index] - 1] = False
        inner_ids = np.flatnonzero(inner) + 1
        numbers[inner_ids] = self._before[index] + np.arange(1, len(inner_ids) + 1)
        numbers[self._ids[index]] = self._numbers[self._starts[index] : self._starts[index + 1]]
        return numbers


def _reaching(pieces: Pieces) -> NDArray[np.int64]:
    ids = np.unique(np.concatenate((pieces.top, pieces.bottom, pieces.left, pieces.right)))
    return ids[ids > 0].astype(np.int64)


def _renumbered(pieces: Pieces, ids: NDArray[np.int64]) -> Pieces:
    """Return the sides with every piece as its place among those that reach a side, from 1."""
    places = np.zeros(len(pieces.areas) + 1, np.int32)
    places[ids] = np.arange(1, len(ids) + 1)
    sides = {side: places[getattr(pieces, side)] for side in _SIDES}
    return replace(pieces, areas=np.zeros(0, np.int64), **sides)


def _contacts(above: list[tuple[int, Pieces]], here: list[tuple[int, Pieces]]) -> Iterator[tuple[int, int]]:
    """Yield which pieces of a row of blocks are one nucleus, and which with those of the row above.

    They are where both have one pixel: the one block sees it inside, the other just beyond its side.
    """
    for (start, left), (next_start, right) in pairwise(here):
        yield from _pairs(start, left.beyond_right, next_start, right.left)
    for (start, upper), (next_start, lower) in zip(above, here, strict=False):
        yield from _pairs(start, upper.beyond_bottom[1:-1], next_start, lower.top)
    for (start, upper), (next_start, lower) in zip(above, here[1:], strict=False):
        yield from _pairs(start, upper.beyond_bottom[-1:], next_start, lower.top[:1])
    for (start, upper), (next_start, lower) in zip(above[1:], here, strict=False):
        yield from _pairs(start, upper.beyond_bottom[:1], next_start, lower.top[-1:])


def _pairs(start: int, one: NDArray[np.int32], next_start: int, other: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    both = np.stack((one, other))
    same = np.unique(both[:, (both > 0).all(axis=0)], axis=1)
    yield from zip((same[0] - 1 + start).tolist(), (same[1] - 1 + next_start).tolist(), strict=True)


def _roots(count: int, pairs: list[tuple[int, int]]) -> NDArray[np.int64]:
    """Return the first member of the set of each, where members of a pair are in one set."""
    parents = list(range(count))

    def root(member: int) -> int:
        while parents[member] != member:
            parents[member] = parents[parents[member]]
            member = parents[member]
        return member

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    return np.array([root(member) for member in range(count)], np.int64)
