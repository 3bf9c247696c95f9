"""The compiled kernel of joining: nuclei with long borders, without small ones. Importing this imports numba.

One pass over the rows with mask finds the borders, which are short; all else is decided on pairs of nuclei.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from unetplus_edge.imaging.compiled import kept

_EXACT = {"error_model": "numpy", "nogil": True}

_OUTSIDE, _SKIRT = 0, 1


@kept(_EXACT)
def join_nuclei(begins: Any, kinds: Any, rows: Any, count: int, join_border: float, smallest: int, labels: Any) -> Any:
    """Join nuclei in place, remove what stays small, and return how many there are.

    See `unetplus_edge.imaging.labelling.label_slowly`.

    Parameters
    ----------
    begins, kinds, rows, count
        As `unetplus_edge.imaging.labels_numba.label_frame` returns them.
    join_border
        See `unetplus_edge.imaging.postprocess.Postprocessing`; 0 joins nothing.
    smallest
        Nuclei of fewer pixels are removed.
    labels
        int32, shape (height, width): 0 = background, nuclei from 1 to `count`.
    """
    areas = _areas(begins, kinds, rows, count, labels)
    table = _borders(kinds, rows, labels) if join_border > 0 else np.zeros((0, 2), np.int64)
    numbers, found = _numbers(table, join_border, smallest, areas)
    if found < count:  # else all have the numbers that they had
        _renumber(begins, kinds, rows, numbers, labels)
    return found


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _end(begins: Any, run: int, beyond: int, width: int) -> int:
    return begins[run + 1] if run + 1 < beyond else width


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _areas(begins: Any, kinds: Any, rows: Any, count: int, labels: Any) -> Any:
    areas = np.zeros(count + 1, np.int64)
    for y in range(len(rows) - 1):
        line = labels[y]
        for run in range(rows[y], rows[y + 1]):
            begin, end = begins[run], _end(begins, run, rows[y + 1], line.size)
            if kinds[run] == _SKIRT:
                for x in range(begin, end):
                    areas[line[x]] += 1
            elif kinds[run] != _OUTSIDE:  # a run of a core is of one number
                areas[line[begin]] += end - begin
    return areas


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _borders(kinds: Any, rows: Any, labels: Any) -> Any:
    """Return a table of which nuclei touch, and of how many pairs of neighbouring pixels their border has.

    int64, with a row a pair of nuclei, found by hashing: both numbers in one, and the length; 0 where a row is free.
    """
    height, width = labels.shape
    size = 256
    while size < 8 * width:
        size *= 2
    table, used, y = np.zeros((size, 2), np.int64), 0, 0
    while y < height:
        # A loop that could replace the table would not be compiled to one over several pixels at a time.
        y, used = _count(kinds, rows, labels, y, table, used)
        if y < height:
            table = _larger(table)
    return table


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _count(kinds: Any, rows: Any, labels: Any, y: int, table: Any, used: int) -> Any:
    """Count the borders from a row on; return for which row the table may have no room, and how many pairs it has."""
    height, width = labels.shape
    edges = np.zeros(-(-width // 8) * 8, np.uint8)
    eights = edges.view(np.uint64)
    above = labels[y - 1] if y > 0 else np.zeros(width, labels.dtype)
    while y < height and 2 * (used + 2 * width) <= len(table):
        line = labels[y]
        if rows[y + 1] - rows[y] > 1 or kinds[rows[y]] != _OUTSIDE:
            # Borders are rare: pixels are compared with those above and before, and looked at eight at a time.
            _compare(line, above, edges)
            for place in range(len(eights)):
                if eights[place]:
                    for x in range(8 * place, 8 * place + 8):
                        if edges[x]:
                            if _meet(line[x], above[x]):
                                used += _add(table, line[x], above[x])
                            if x > 0 and _meet(line[x], line[x - 1]):
                                used += _add(table, line[x], line[x - 1])
        above = line
        y += 1
    return y, used


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _compare(line: Any, above: Any, edges: Any) -> None:
    """Write where a row has a pixel of another nucleus than the one above or before."""
    width = line.size
    before, behind, upper, changes = line[: width - 1], line[1:], above[1:], edges[1:width]
    edges[0] = _meet(line[0], above[0])
    for x in range(width - 1):
        changes[x] = _meet(behind[x], upper[x]) | _meet(behind[x], before[x])


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _meet(one: int, other: int) -> bool:
    """Return whether two pixels are of two nuclei."""
    return (one != other) & (one > 0) & (other > 0)


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _add(table: Any, one: int, other: int) -> Any:
    """Count one more pair of pixels of two nuclei; return 1 if it is their first."""
    pair = (np.int64(min(one, other)) << 32) | np.int64(max(one, other))
    row = _row_of(table, pair)
    first = np.int64(table[row, 0] == 0)
    table[row, 0] = pair
    table[row, 1] += 1
    return first


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _row_of(table: Any, pair: int) -> Any:
    """Return the row of a pair, or the free one that it is to have; the table's length is a power of two."""
    # Twice, as both numbers are to decide all bits; unsigned, because only then may a product overflow.
    mixed = np.uint64(pair)
    for _ in range(2):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15)  # 2 to the 64 by the golden ratio
        mixed ^= mixed >> np.uint64(32)
    row = np.int64(mixed & np.uint64(len(table) - 1))
    while table[row, 0] != 0 and table[row, 0] != pair:
        row = (row + 1) & (len(table) - 1)
    return row


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _larger(table: Any) -> Any:
    larger = np.zeros((2 * len(table), 2), np.int64)
    for row in range(len(table)):
        if table[row, 0] != 0:
            place = _row_of(larger, table[row, 0])
            larger[place, 0], larger[place, 1] = table[row, 0], table[row, 1]
    return larger


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _numbers(table: Any, join_border: float, smallest: int, areas: Any) -> Any:
    """Return the new number of each nucleus, in the same order, 0 where it is too small; and how many there are."""
    count = len(areas) - 1
    parents = np.arange(count + 1)
    for row in range(len(table)):
        if table[row, 0] != 0:
            one, other = table[row, 0] >> 32, table[row, 0] & 0xFFFFFFFF
            if table[row, 1] > join_border * (2 * np.sqrt(min(areas[one], areas[other]) / np.pi)):
                one, other = _root(parents, one), _root(parents, other)
                parents[max(one, other)] = min(one, other)  # the first stands for all
    for value in range(1, count + 1):
        root = _root(parents, value)
        if root != value:
            areas[root] += areas[value]
    numbers = np.zeros(count + 1, np.int32)
    found = 0
    for value in range(1, count + 1):
        root = _root(parents, value)
        if root != value:
            numbers[value] = numbers[root]
        elif areas[value] >= smallest:
            found += 1
            numbers[value] = found
    return numbers, found


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _root(parents: Any, value: int) -> int:
    while parents[value] != value:
        parents[value] = parents[parents[value]]
        value = parents[value]
    return value


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _renumber(begins: Any, kinds: Any, rows: Any, numbers: Any, labels: Any) -> None:
    for y in range(len(rows) - 1):
        line = labels[y]
        for run in range(rows[y], rows[y + 1]):
            begin, end = begins[run], _end(begins, run, rows[y + 1], line.size)
            if kinds[run] == _SKIRT:
                for x in range(begin, end):
                    line[x] = numbers[line[x]]
            elif kinds[run] != _OUTSIDE and numbers[line[begin]] != line[begin]:
                value = numbers[line[begin]]
                for x in range(begin, end):
                    line[x] = value
