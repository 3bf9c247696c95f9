"""Joining pieces of nuclei over the sides of blocks, and nuclei with long borders: one number a nucleus."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from unetplus_edge.imaging import Postprocessing
    from unetplus_runtime.large.blocks import Block, BlockGrid
    from unetplus_runtime.large.pieces import Pieces

_SIDES = ("top", "bottom", "left", "right", "beyond_right", "beyond_bottom")


class Numbering:
    """The numbers of all nuclei of a frame: from 1, without gaps, block by block.

    Pieces that have a pixel in common are of one nucleus. Which of those that touch are joined
    (`Postprocessing.join_border`) is decided by their whole areas and the whole length of their
    border; and only then what is too small is left out, so that none is lost for having been cut.
    A nucleus in several blocks counts as one of the first of them. In memory is what a block does
    not know all of: the pieces that reach one of its sides, and those that touch such a piece.

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
        self._constants = constants
        self._index = {(block.row, block.column): index for index, block in enumerate(grid.blocks)}
        self._ids: list[NDArray[np.int64]] = []  # of the pieces of each block whose nuclei it may not know all of
        areas, insides = [], []
        pairs: list[tuple[int, int]] = []
        borders: list[NDArray[np.int64]] = []
        starts = [0]
        above: list[tuple[int, Pieces]] = []
        for row in range(grid.down):
            here: list[tuple[int, Pieces]] = []
            for column in range(grid.across):
                pieces = read(grid.at(row, column))
                settled, ids = _settled(pieces, constants)
                self._ids.append(ids)
                areas.append(pieces.areas[ids - 1])
                insides.append(settled.max())
                kept = _renumbered(pieces, ids)
                borders.append(kept.borders + np.array([starts[-1] - 1, starts[-1] - 1, 0]))
                here.append((starts[-1], replace(kept, borders=kept.borders[:0])))
                starts.append(starts[-1] + len(ids))
            pairs += _contacts(above, here)
            if constants.join_border is not None:
                borders += _crossing(above, here)
            above = here
        self._starts = np.array(starts)
        whole = np.concatenate(areas)
        parts = _roots(starts[-1], pairs)
        self._roots = _joined(parts, whole, np.concatenate(borders), constants)[parts]
        self._number(whole, np.array(insides))

    def _number(self, areas: NDArray[np.int64], insides: NDArray[np.int64]) -> None:
        totals = np.bincount(self._roots, areas, minlength=len(areas))
        kept = (self._roots == np.arange(len(areas))) & (totals >= self._constants.min_nucleus_area)
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

    def unsettled(self, block: Block) -> NDArray[np.int64]:
        """Return the pieces of a block that may be of nuclei with pieces in other blocks."""
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
        settled, ids = _settled(pieces, self._constants)
        numbers = np.where(settled > 0, self._before[index] + settled, 0).astype(np.uint32)
        numbers[ids] = self._numbers[self._starts[index] : self._starts[index + 1]]
        return numbers


def _settled(pieces: Pieces, constants: Postprocessing) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what a block knows by itself.

    Returns
    -------
    numpy.ndarray
        int64, shape (pieces + 1,): the numbers, from 1, of the nuclei that lie inside the block with all
        that may be joined to them; 0 for the background, for what is too small, and for the next.
    numpy.ndarray
        int64: the pieces whose nuclei may go on in other blocks, in ascending order.
    """
    areas = np.concatenate(([0], pieces.areas))
    reaching = np.zeros(len(areas), np.bool_)
    reaching[_reaching(pieces)] = True
    one, other, lengths = pieces.borders.T
    at_side = reaching[one] | reaching[other]
    # Of pieces that reach no side, all pixels and the whole border are here.
    joins = constants.joins(lengths, np.minimum(areas[one], areas[other])) & ~at_side
    roots = _roots(len(areas), zip(one[joins].tolist(), other[joins].tolist(), strict=True))
    # What touches a piece that reaches a side may be joined to it, and with it all that is joined to itself.
    unsettled = reaching.copy()
    unsettled[roots[one[at_side]]] = unsettled[roots[other[at_side]]] = True
    unsettled = unsettled[roots]
    totals = np.bincount(roots, areas, minlength=len(areas))
    first = (roots == np.arange(len(areas))) & (totals >= constants.min_nucleus_area) & ~unsettled
    first[0] = False
    return np.where(first, np.cumsum(first), 0)[roots], np.flatnonzero(unsettled)


def _reaching(pieces: Pieces) -> NDArray[np.int64]:
    ids = np.unique(np.concatenate((pieces.top, pieces.bottom, pieces.left, pieces.right)))
    return ids[ids > 0].astype(np.int64)


def _renumbered(pieces: Pieces, ids: NDArray[np.int64]) -> Pieces:
    """Return sides and borders with every piece as its place among those that are kept, from 1; no others."""
    places = np.zeros(len(pieces.areas) + 1, np.int32)
    places[ids] = np.arange(1, len(ids) + 1)
    sides = {side: places[getattr(pieces, side)] for side in _SIDES}
    borders = pieces.borders.copy()
    borders[:, :2] = places[borders[:, :2]]
    return replace(pieces, areas=pieces.areas[:0], borders=borders[(borders > 0).all(axis=1)], **sides)


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


def _crossing(above: list[tuple[int, Pieces]], here: list[tuple[int, Pieces]]) -> Iterator[NDArray[np.int64]]:
    """Yield the borders that lie between a row of blocks and the row above, and between the blocks of the row.

    Each pair of pixels, one on either side, is counted; also those of one nucleus, which are no border.
    """
    for (start, left), (next_start, right) in pairwise(here):
        yield _lengths(start, left.right, next_start, right.left)
    for (start, upper), (next_start, lower) in zip(above, here, strict=False):
        yield _lengths(start, upper.bottom, next_start, lower.top)


def _lengths(start: int, one: NDArray[np.int32], next_start: int, other: NDArray[np.int32]) -> NDArray[np.int64]:
    both = np.stack((one, other))
    pairs, lengths = np.unique(both[:, (both > 0).all(axis=0)], axis=1, return_counts=True)
    return np.stack((pairs[0] - 1 + start, pairs[1] - 1 + next_start, lengths), axis=1).astype(np.int64)


def _joined(
    parts: NDArray[np.int64], areas: NDArray[np.int64], borders: NDArray[np.int64], constants: Postprocessing
) -> NDArray[np.int64]:
    """Return the first member of the set of each, where nuclei with a border that is long for them are in one set.

    Parameters
    ----------
    parts
        The first piece of the nucleus of each piece.
    areas
        Of the pieces.
    borders
        Shape (n, 3): two pieces, and the length of a border between them, however many times.
    constants
        The bundle's constants.
    """
    one, other = np.sort(parts[borders[:, :2]], axis=1).T
    apart = one != other
    keys, index = np.unique(one[apart] * len(parts) + other[apart], return_inverse=True)
    lengths = np.bincount(index, borders[apart, 2], minlength=len(keys)).astype(np.int64)
    one, other = np.divmod(keys, max(len(parts), 1))
    totals = np.bincount(parts, areas, minlength=len(parts))
    joins = constants.joins(lengths, np.minimum(totals[one], totals[other]))
    return _roots(len(parts), zip(one[joins].tolist(), other[joins].tolist(), strict=True))


def _roots(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
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
