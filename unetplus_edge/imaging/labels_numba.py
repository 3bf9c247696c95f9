"""The compiled kernel of labelling: runs of equal pixels, joined row by row. Importing this module imports numba.

One pass over the frame cuts its rows into runs, of which there are few; whatever connects, is
counted or removed is decided on runs, and one pass more writes the labels.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from unetplus_edge.imaging.compiled import kept

_EXACT = {"error_model": "numpy", "nogil": True}

_OUTSIDE, _SKIRT, _CORE = 0, 1, 2
_OPEN, _CLAIMED = -1, -2  # in the label image, while cores grow: mask that no nucleus has reached yet


@kept(_EXACT)
def label_frame(
    source: Any,
    threshold: Any,
    core_threshold: Any,
    grows: bool,
    max_hole_area: int,
    min_core_area: int,
    core_reach: int,
    min_nucleus_area: int,
    connectivity: int,
    labels: Any,
) -> Any:
    """Write the label image; see `unetplus_edge.imaging.labelling.label_slowly`.

    Returned are what `unetplus_edge.imaging.joins_numba` takes: the runs, and how many nuclei there are.
    Where nuclei grow, none are joined yet, and none are removed for being small.
    """
    begins, kinds, rows = _runs(source, threshold, core_threshold, grows)
    width, corners = source.shape[1], connectivity == 8
    parents = np.arange(len(begins), dtype=np.int32)
    if max_hole_area > 0:
        _join(begins, kinds, rows, width, _OUTSIDE, not corners, parents)
        _fill(begins, kinds, rows, width, max_hole_area, _SKIRT if grows else _CORE, parents)
    _join(begins, kinds, rows, width, _CORE, corners, parents)
    numbers = _numbers(begins, kinds, rows, width, min_core_area if grows else min_nucleus_area, parents)
    count = _write(begins, kinds, rows, numbers, labels, grows)
    if grows:
        _grow(begins, kinds, rows, core_reach, labels)
    return begins, kinds, rows, count


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _runs(source: Any, threshold: Any, core_threshold: Any, grows: bool) -> Any:
    """Return where runs begin, what they are, and the first run of each row; a run ends where the next begins."""
    height, width = source.shape
    padded = -(-width // 8) * 8
    line, edges = np.zeros(padded, np.uint8), np.zeros(padded, np.uint8)
    eights = edges.view(np.uint64)
    rows = np.empty(height + 1, np.int64)
    begins, kinds = np.empty(4096, np.int32), np.empty(4096, np.uint8)
    count = 0
    for y in range(height):
        _classes(source[y], threshold, core_threshold, grows, line)
        # Most of a row is long runs: pixels are compared with the one before, and looked at eight at a time.
        before, behind = line[: width - 1], line[1:width]
        changes = edges[1:width]
        for x in range(width - 1):
            changes[x] = behind[x] ^ before[x]
        if count + width > len(begins):
            size = 2 * len(begins) + width
            more_begins, more_kinds = np.empty(size, np.int32), np.empty(size, np.uint8)
            more_begins[:count], more_kinds[:count] = begins[:count], kinds[:count]
            begins, kinds = more_begins, more_kinds
        rows[y] = count
        begins[count], kinds[count] = 0, line[0]
        count += 1
        for place in range(len(eights)):
            if eights[place]:
                for x in range(8 * place, 8 * place + 8):
                    if edges[x]:
                        begins[count], kinds[count] = x, line[x]
                        count += 1
    rows[height] = count
    return begins[:count], kinds[:count], rows


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _classes(pixels: Any, threshold: Any, core_threshold: Any, grows: bool, line: Any) -> None:
    if grows:
        for x in range(pixels.size):
            line[x] = np.uint8(pixels[x] > threshold) + np.uint8(pixels[x] > core_threshold)
    else:
        for x in range(pixels.size):
            line[x] = np.uint8(pixels[x] > threshold) << 1


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _root(parents: Any, run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _unite(parents: Any, one: int, other: int) -> None:
    one, other = _root(parents, one), _root(parents, other)
    if one < other:  # the first run stands for all
        parents[other] = one
    else:
        parents[one] = other


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _end(begins: Any, run: int, beyond: int, width: int) -> int:
    return begins[run + 1] if run + 1 < beyond else width


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _join(begins: Any, kinds: Any, rows: Any, width: int, kind: int, corners: bool, parents: Any) -> None:
    """Give all runs of one kind that are connected one root, the first of them."""
    slack = 1 if corners else 0
    for y in range(len(rows) - 1):
        above = rows[y - 1] if y else rows[y]
        for run in range(rows[y], rows[y + 1]):
            if kinds[run] != kind:
                continue
            begin, end = begins[run], _end(begins, run, rows[y + 1], width)
            if run > rows[y] and kinds[run - 1] == kind:
                _unite(parents, run - 1, run)
            while above < rows[y] and _end(begins, above, rows[y], width) + slack <= begin:
                above += 1
            upper = above
            while upper < rows[y] and begins[upper] < end + slack:
                if kinds[upper] == kind:
                    _unite(parents, upper, run)
                upper += 1


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _fill(begins: Any, kinds: Any, rows: Any, width: int, largest: int, kind: int, parents: Any) -> None:
    """Turn what is enclosed and small into another kind."""
    height = len(rows) - 1
    areas = np.zeros(len(begins), np.int64)
    for y in range(height):
        for run in range(rows[y], rows[y + 1]):
            if kinds[run] == _OUTSIDE:
                begin, end = begins[run], _end(begins, run, rows[y + 1], width)
                at_edge = y == 0 or y == height - 1 or begin == 0 or end == width
                areas[_root(parents, run)] += largest + 1 if at_edge else end - begin
    for run in range(len(begins)):
        if kinds[run] == _OUTSIDE and areas[_root(parents, run)] <= largest:
            # Its root is of its own kind, and asked for by those after it: runs change, roots do so last.
            areas[run] = -1
    for run in range(len(begins)):
        if areas[run] == -1:
            kinds[run], parents[run] = kind, run


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _numbers(begins: Any, kinds: Any, rows: Any, width: int, smallest: int, parents: Any) -> Any:
    """Return the number of each run's core, by the place of its first pixel; 0 where there is none large enough."""
    areas = np.zeros(len(begins), np.int64)
    for y in range(len(rows) - 1):
        for run in range(rows[y], rows[y + 1]):
            if kinds[run] == _CORE:
                areas[_root(parents, run)] += _end(begins, run, rows[y + 1], width) - begins[run]
    numbers = np.zeros(len(begins), np.int32)
    count = 0
    for run in range(len(begins)):
        if kinds[run] == _CORE:
            root = _root(parents, run)
            if root == run and areas[root] >= smallest:
                count += 1
                numbers[run] = count
            else:
                numbers[run] = numbers[root]
    return numbers


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _write(begins: Any, kinds: Any, rows: Any, numbers: Any, labels: Any, grows: bool) -> int:
    count = 0
    for y in range(len(rows) - 1):
        line = labels[y]
        for run in range(rows[y], rows[y + 1]):
            value = numbers[run]
            count = max(count, value)
            if grows and value == 0 and kinds[run] != _OUTSIDE:
                value, kinds[run] = _OPEN, _SKIRT
            for x in range(begins[run], _end(begins, run, rows[y + 1], line.size)):
                line[x] = value
    return count


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _neighbour(labels: Any, y: int, x: int) -> Any:
    """Return the first nucleus above, left, right or below a pixel; 0 where there is none."""
    if y > 0 and labels[y - 1, x] > 0:
        return labels[y - 1, x]
    if x > 0 and labels[y, x - 1] > 0:
        return labels[y, x - 1]
    if x + 1 < labels.shape[1] and labels[y, x + 1] > 0:
        return labels[y, x + 1]
    if y + 1 < labels.shape[0] and labels[y + 1, x] > 0:
        return labels[y + 1, x]
    return 0


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _grow(begins: Any, kinds: Any, rows: Any, reach: int, labels: Any) -> None:
    """Let all nuclei grow, a step at a time, into what is open; what stays open becomes background."""
    height, width = labels.shape
    size = 0
    for y in range(height):
        for run in range(rows[y], rows[y + 1]):
            if kinds[run] == _SKIRT:
                size += _end(begins, run, rows[y + 1], width) - begins[run]
    # Pixels in the order in which they are reached: row, column, and the nucleus that they become.
    reached = np.empty((size, 3), np.int32)
    count = 0
    for y in range(height if reach else 0):
        for run in range(rows[y], rows[y + 1]):
            if kinds[run] == _SKIRT:
                for x in range(begins[run], _end(begins, run, rows[y + 1], width)):
                    count = _reach(labels, y, x, reached, count)
    begin = 0
    for step in range(reach):
        end = count
        for place in range(begin, end):
            labels[reached[place, 0], reached[place, 1]] = reached[place, 2]
        if begin == end or step == reach - 1:
            break
        for place in range(begin, end):
            y, x = reached[place, 0], reached[place, 1]
            if y > 0 and labels[y - 1, x] == _OPEN:
                count = _reach(labels, y - 1, x, reached, count)
            if x > 0 and labels[y, x - 1] == _OPEN:
                count = _reach(labels, y, x - 1, reached, count)
            if x + 1 < width and labels[y, x + 1] == _OPEN:
                count = _reach(labels, y, x + 1, reached, count)
            if y + 1 < height and labels[y + 1, x] == _OPEN:
                count = _reach(labels, y + 1, x, reached, count)
        begin = end
    if count == size:
        return
    for y in range(height):
        for run in range(rows[y], rows[y + 1]):
            if kinds[run] == _SKIRT:
                for x in range(begins[run], _end(begins, run, rows[y + 1], width)):
                    if labels[y, x] < 0:
                        labels[y, x] = 0


@numba.njit(**_EXACT)  # type: ignore[untyped-decorator]
def _reach(labels: Any, y: int, x: int, reached: Any, count: int) -> int:
    """Claim an open pixel for the nucleus beside it, if there is one; return how many have been reached."""
    value = _neighbour(labels, y, x)
    if value > 0:
        labels[y, x] = _CLAIMED
        reached[count, 0], reached[count, 1], reached[count, 2] = y, x, value
        count += 1
    return count
