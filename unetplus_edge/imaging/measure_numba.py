"""The compiled kernel of measuring: all sums in one pass. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from unetplus_edge.imaging.compiled import kept

_EXACT = {"error_model": "numpy", "nogil": True}


@kept(_EXACT)
def sums_of(labels: Any, frame: Any, whole: Any, intensity: Any, least: Any, most: Any) -> None:
    """Add up what is to know of every nucleus; see `unetplus_edge.imaging.measure.measure`.

    Parameters
    ----------
    labels
        Label image, shape (height, width); no id is negative.
    frame
        The raw frame, same shape.
    whole
        int64 zeros, shape (largest id + 1, 11), of which is written: area; row and column of the
        first pixel; sums of rows and of columns counted from there, of their squares and of their
        product; first row, first and last column and last row. Of the rectangle only where the
        area is not 0. Counted from a pixel of the nucleus, sums stay small however large the frame.
    intensity, least, most
        Zeros, shape (largest id + 1,): sum in float64, and least and greatest in the frame's dtype.
    """
    height, width = labels.shape
    for y in range(height):
        line, pixels = labels[y], frame[y]
        x = 0
        while x < width:
            label = line[x]
            if label == 0:
                x += 1
                continue
            begin = x
            total, low, high = np.float64(0), pixels[x], pixels[x]
            while x < width and line[x] == label:
                value = pixels[x]
                total += value
                low, high = min(low, value), max(high, value)
                x += 1
            row = whole[label]
            if row[0] == 0:
                row[1], row[2], row[8], row[9] = y, begin, begin, x - 1
                least[label], most[label] = low, high
            count, dy, first, last = x - begin, y - row[1], begin - row[2], x - 1 - row[2]
            # Sums over a run of columns, of themselves and of their squares, without a loop.
            across = (first + last) * count // 2
            row[0] += count
            row[3] += dy * count
            row[4] += across
            row[5] += dy * dy * count
            row[6] += (last * (last + 1) * (2 * last + 1) - (first - 1) * first * (2 * first - 1)) // 6
            row[7] += dy * across
            row[8], row[9], row[10] = min(row[8], begin), max(row[9], x - 1), y
            intensity[label] += total
            least[label], most[label] = min(least[label], low), max(most[label], high)
